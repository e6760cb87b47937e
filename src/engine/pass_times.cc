#include "engine/pass_times.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace linnet {
namespace {

// While nothing larger was measured: what a row more takes, as a share of the pass. A guess on the
// low side, since it is then measured.
constexpr double kRowShare = 0.04;
// What guesses must promise over passes without. Those of a model more: each takes time for
// certain, and what it gains is an estimate.
constexpr double kMargin = 1.01, kMarginOfMade = 1.15;

}  // namespace

size_t RowKind(size_t rows) {
  if (rows <= 8) return rows;
  const auto log = static_cast<size_t>(std::bit_width(rows)) - 1;  // 3 and more
  return std::min(kRowKinds - 1, 8 + (log - 3) * 4 + ((rows >> (log - 2)) & 3));
}

void PassTimes::Took(size_t rows, double seconds) {
  if (rows == 0) return;
  const size_t kind = RowKind(rows);
  double& mean = seconds_[kind];
  double& mean_rows = rows_[kind];
  if (mean == 0) {
    mean = seconds;
    mean_rows = static_cast<double>(rows);
  } else {
    // Limited, since a machine sometimes stands still. The first passes are slow; shorter times are
    // believed sooner.
    mean += (seconds < mean ? 0.5 : 0.1) * (std::clamp(seconds, mean / 2, mean * 2) - mean);
    mean_rows += 0.1 * (static_cast<double>(rows) - mean_rows);
  }
  // Fewer rows that took longer were measured in a slow moment, often as the first of their kind.
  for (size_t fewer = 0; fewer < kind; ++fewer) {
    if (seconds_[fewer] > mean) seconds_[fewer] = 0;
  }
}

double PassTimes::Of(size_t rows) const {
  const size_t kind = RowKind(rows);
  const auto n = static_cast<double>(rows);
  size_t below = kind, above = kind;
  while (below > 0 && (seconds_[below] == 0 || rows_[below] > n)) --below;
  while (above < kRowKinds && (seconds_[above] == 0 || rows_[above] < n)) ++above;
  const bool has_below = seconds_[below] > 0, has_above = above < kRowKinds;
  if (has_below && has_above) {
    const double width = rows_[above] - rows_[below];
    const double part = width > 0 ? (n - rows_[below]) / width : 0;
    return seconds_[below] + part * (seconds_[above] - seconds_[below]);
  }
  if (has_below) return seconds_[below] * (1 + kRowShare * (n - rows_[below]));
  if (has_above) return seconds_[above] / (1 + kRowShare * (rows_[above] - n));
  return 0;
}

size_t PassTimes::Guesses(size_t rows, double texts, const GuessOffer& offer) const {
  const double base = Of(rows);
  if (base <= 0) return 0;
  double best = texts / base * (offer.guess_s > 0 ? kMarginOfMade : 1);
  size_t count = 0;
  double accepted = 0, all = 1;  // expected, and the probability that all were
  for (size_t k = 1; k <= offer.guesses; ++k) {
    all *= std::clamp(k <= offer.each.size() ? offer.each[k - 1] : offer.acceptance, 0.0, 0.999);
    accepted += all;
    const double back = offer.back_s ? *offer.back_s * (1 + accepted)
                                     : Of(1 + static_cast<size_t>(accepted) + 1) - Of(1);
    const double seconds = Of(rows + k) + (1 - all) * back + static_cast<double>(k) * offer.guess_s;
    const double rate = (texts + accepted) / seconds;
    if (rate > best * kMargin) {
      best = rate;
      count = k;
    }
  }
  return count;
}

}  // namespace linnet
