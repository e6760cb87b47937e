// ParseJsonLine: one line of a .jsonl file.
#ifndef LINNET_TEXT_JSON_LINE_H_
#define LINNET_TEXT_JSON_LINE_H_

#include <nlohmann/json.hpp>
#include <string_view>

namespace linnet {

// Throws Error kBadInput saying what is wrong with a line that is no JSON object, and where. As
// Python's encoders do, it takes no half of a surrogate pair: no bytes stand for it.
nlohmann::json ParseJsonLine(std::string_view line);

}  // namespace linnet

#endif  // LINNET_TEXT_JSON_LINE_H_
