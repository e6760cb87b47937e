#include "text/json_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "linnet/error.h"

namespace linnet {

nlohmann::json ParseJsonLine(std::string_view line) {
  std::string why;
  try {
    nlohmann::json object = nlohmann::json::parse(line);
    if (object.is_object()) return object;
  } catch (const nlohmann::json::parse_error& error) {
    // Example: "[id] parse error at line 1, column 9: syntax error while … - what is wrong; last
    // read: '…'"
    why = error.what();
    const size_t dash = why.find(" - ");
    if (dash != std::string::npos) why.erase(0, dash + 3);
    why.erase(std::min(why.size(), why.find("; ")));
    why = fmt::format(": {} (byte {})", why, error.byte);
  } catch (const nlohmann::json::out_of_range&) {  // for example 1e999
    why = ": it holds a number that is too large";
  }
  throw Error(ErrorKind::kBadInput, "not a JSON object" + why);
}

}  // namespace linnet
