// What becomes of a row of logits on the way to the odds of its tokens: the same bits at every
// instruction-set level, so that a seed gives the same text on every machine.
#ifndef LINNET_KERNELS_ODDS_H_
#define LINNET_KERNELS_ODDS_H_

#include <cstddef>
#include <cstdint>

namespace linnet {

// y = e^x for x <= 0 within 2e-7 of its value, 0 for x < -87 and NaN. y may be x.
void NegativeExpRow(const float* x, size_t n, float* y) noexcept;

// y = (x - top) / temperature. y may be x.
void BelowTopRow(const float* x, size_t n, float top, float temperature, float* y) noexcept;

// In doubles: value i is added to sum i % 16, and those are added in order.
double SumInDouble(const float* x, size_t n) noexcept;

// n >= 1, none NaN.
struct Extremes {
  float least, most;
};
Extremes ExtremesOf(const float* x, size_t n) noexcept;

// Closes the ranks of the tokens with a weight of `least` or more; returns how many there are. What
// lies beyond them is rubbish.
size_t KeepAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept;
// The same of tokens 0 to n - 1, whose ids are yet to be written.
size_t FindAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_ODDS_H_
