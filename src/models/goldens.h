// Shared by the tests of several folders: the path of ../shared/data, and the reference's names.
#ifndef LINNET_MODELS_GOLDENS_H_
#define LINNET_MODELS_GOLDENS_H_

#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "io/tensor_file.h"

namespace linnet::goldens {

inline std::filesystem::path Data(const std::string& name = "") {
  return std::filesystem::path("../shared/data") / name;
}
inline bool Missing() { return !std::filesystem::exists(Data()); }

inline std::vector<int32_t> Ids(const TensorFile& file, const std::string& name) {
  const TensorView& t = *file.Find(name);
  const auto* values = reinterpret_cast<const int64_t*>(t.data);
  return {values, values + t.elements()};
}

// The largest absolute difference divided by the largest absolute value in `expected`; infinite if
// sizes differ or a value is NaN.
inline double Error(std::span<const float> got, std::span<const float> expected) {
  if (got.size() != expected.size()) return INFINITY;
  double largest = 0, difference = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(got[i])) return INFINITY;
    largest = std::max(largest, std::abs(double{expected[i]}));
    difference = std::max(difference, std::abs(double{got[i]} - expected[i]));
  }
  return difference == 0 ? 0 : difference / largest;
}

}  // namespace linnet::goldens

#endif  // LINNET_MODELS_GOLDENS_H_
