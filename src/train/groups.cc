#include "train/groups.h"

#include <algorithm>

#include "models/schema.h"

namespace linnet {

Group GroupOf(Generation generation, const std::string& name, const std::vector<size_t>& shape) {
  const ParameterSpec* p = FindParameter(generation, name);
  if (p == nullptr) return {};  // an adapter's
  const auto wide = std::count_if(shape.begin(), shape.end(), [](size_t n) { return n > 1; });
  return {p->rate, wide >= 2 && p->decays()};
}

}  // namespace linnet
