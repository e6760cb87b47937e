#include "engine/pooling.h"

#include <cmath>

namespace linnet {

const char* Name(Pooling pooling) {
  switch (pooling) {
    case Pooling::kMean:
      return "mean";
    case Pooling::kWeighted:
      return "weighted";
    case Pooling::kLast:
      return "last";
    case Pooling::kEnd:
      return "end";
  }
  return "?";
}

std::optional<Pooling> ParsePooling(std::string_view name) {
  for (const Pooling pooling : kPoolings) {
    if (name == Name(pooling)) return pooling;
  }
  return std::nullopt;
}

int32_t EndToken(const Config& config) { return static_cast<int32_t>(config.vocab) - 1; }

void PoolingWeights(Pooling pooling, std::span<const int32_t> text, int32_t end, size_t first,
                    std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t at = first + i;
    switch (pooling) {
      case Pooling::kMean:
        out[i] = 1;
        break;
      case Pooling::kWeighted:
        out[i] = static_cast<float>(at + 1);
        break;
      case Pooling::kLast:
        out[i] = at + 1 == text.size() ? 1 : 0;
        break;
      case Pooling::kEnd:
        out[i] = text[at] == end ? 1 : 0;
        break;
    }
  }
}

std::vector<float> Pooled(std::span<const double> sums, double weight) {
  std::vector<float> out(sums.size());
  if (weight == 0) return out;
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(sums[i] / weight);
  return out;
}

std::vector<float> Normalized(std::span<const float> vector) {
  double sum = 0;
  for (const float x : vector) sum += double{x} * x;
  std::vector<float> out(vector.size());
  if (!(sum > 0) || !std::isfinite(sum)) return out;
  const double length = std::sqrt(sum);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(vector[i] / length);
  return out;
}

}  // namespace linnet
