#include "cli/matched.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <vector>

namespace linnet::cli {

std::string MatchedText(const Checkpoint& checkpoint) {
  std::set<std::vector<size_t>> shapes;
  std::string text = fmt::format("{} tensors told by their shapes", checkpoint.matched().size());
  for (const MatchedTensor& t : checkpoint.matched()) {
    if (!shapes.insert(t.shape).second) continue;
    text += fmt::format("; {} [{}] is {}", t.from, fmt::join(t.shape, ", "), t.to);
  }
  return text;
}

nlohmann::ordered_json MatchedJson(const Checkpoint& checkpoint) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const MatchedTensor& t : checkpoint.matched()) json[t.from] = t.to;
  return json;
}

}  // namespace linnet::cli
