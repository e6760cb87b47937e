#include "train/groups.h"

#include <algorithm>
#include <string_view>

namespace linnet {

Group GroupOf(Generation generation, const std::string& name, const std::vector<size_t>& shape) {
  const auto ends = [&](std::string_view tail) {
    return name.size() >= tail.size() && name.ends_with(tail);
  };
  if (generation == Generation::k7 ? ends("att.w0") : ends("time_decay")) return {2, false};
  if (generation != Generation::k7 && ends("time_first")) return {3, false};
  const auto wide = std::count_if(shape.begin(), shape.end(), [](size_t n) { return n > 1; });
  return {1, wide >= 2 && ends(".weight")};
}

}  // namespace linnet
