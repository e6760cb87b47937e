// What becomes of a row of logits on the way to the odds of its tokens: the same bits at every
// instruction-set level, so that a seed gives the same text on every machine.
#ifndef LINNET_KERNELS_ODDS_H_
#define LINNET_KERNELS_ODDS_H_

#include <cstddef>
#include <cstdint>

namespace linnet {

// y = e^x for x <= 0 within 2e-7 of its value, 0 for x < -87 and NaN. y may be x.
void NegativeExpRow(const float* x, size_t n, float* y) noexcept;

// y = (x - top) / temperature.
void BelowTopRow(const float* x, size_t n, float top, float temperature, float* y) noexcept;

// In doubles: value i is added to sum i % 16, and those are added in order.
double SumInDouble(const float* x, size_t n) noexcept;

// n >= 1, none NaN.
struct Extremes {
  float least, most;
};
Extremes ExtremesOf(const float* x, size_t n) noexcept;

// Tokens side by side in three rows, ids ascending.
struct OddsRows {
  int32_t* id;
  float* weight;
  float* logit;
};
// Closes the ranks of those with a weight of `least` or more; returns how many there are. What lies
// beyond them is rubbish.
size_t KeepAtLeast(float least, size_t n, const OddsRows& rows) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_ODDS_H_
