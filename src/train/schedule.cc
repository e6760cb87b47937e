#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace linnet {

double Schedule::LearningRate(uint64_t step) const {
  const auto s = static_cast<double>(step), w = static_cast<double>(warmup);
  const double after = std::max(1.0, static_cast<double>(steps) - w);
  const double progress = std::clamp((s - w) / after, 0.0, 1.0);
  const double f = first == 0 ? 0 : last / first;
  double rate = first * ((0.5 + f / 2) + (0.5 - f / 2) * std::cos(std::numbers::pi * progress));
  if (step < warmup) rate *= 0.01 + 0.99 * s / w;
  return rate;
}

}  // namespace linnet
