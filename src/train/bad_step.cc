#include "train/bad_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <vector>

#include "models/names.h"
#include "models/packed.h"
#include "models/schema.h"

namespace linnet {
namespace {

// The first value that is not finite, or 0.
float FirstOdd(std::span<const float> values) {
  const float* odd = FindUnfit(DType::kF32, values);
  return odd == nullptr ? 0 : *odd;
}

std::string Holds(const std::string& name, float odd) {
  return fmt::format("{} holds {}", name, std::isnan(odd) ? "a NaN" : "an infinite value");
}

std::span<const float> ValuesOf(const Parameter& p) { return {p.v.data, p.v.rows * p.v.cols}; }

// The first value of a file's tensor that is not finite, or 0.
float FirstOdd(const TensorView& tensor) {
  constexpr size_t kFloats = size_t{1} << 20;
  std::vector<float> values;
  const size_t rows =
      std::clamp<size_t>(kFloats / std::max<size_t>(tensor.cols(), 1), 1, tensor.rows());
  for (size_t begin = 0; begin < tensor.rows(); begin += rows) {
    const size_t count = std::min(rows, tensor.rows() - begin);
    values.resize(count * tensor.cols());
    ReadRows(tensor, begin, count, values.data());
    const float odd = FirstOdd(values);
    if (odd != 0) return odd;
  }
  return 0;
}

}  // namespace

std::string BadLearntValue(const Network& network) {
  for (const Parameter& p : network.parameters()) {
    const float odd = FirstOdd(ValuesOf(p));
    if (odd != 0) return Holds(p.name, odd);
  }
  return "";
}

std::string BadFrozenValue(const Network& network) {
  std::set<std::string> learnt;
  for (const Parameter& p : network.parameters()) learnt.insert(p.name);
  for (const TensorView& t : network.checkpoint().tensors()) {
    // Unused tensors may contain any values.
    if (IsUnused(t.name) || learnt.contains(t.name) || t.name.starts_with(kTrainingPrefix))
      continue;
    if (!IsFloat(t.type) || t.elements() == 0) continue;
    const float odd = FirstOdd(t);
    if (odd != 0) return network.checkpoint().file().path().string() + ": " + Holds(t.name, odd);
  }
  return "";
}

std::string LargestLearntValue(const Network& network) {
  const Parameter* largest = nullptr;
  float reach = -1;
  for (const Parameter& p : network.parameters()) {
    for (const float x : ValuesOf(p)) {
      if (std::abs(x) <= reach) continue;
      reach = std::abs(x);
      largest = &p;
    }
  }
  return largest == nullptr ? "" : fmt::format("{} reaches {:.3g}", largest->name, reach);
}

}  // namespace linnet
