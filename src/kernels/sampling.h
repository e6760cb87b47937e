// What becomes of a row of logits on the way to the odds of its tokens: the same bits at every
// instruction-set level, so that a seed gives the same text on every machine.
#ifndef LINNET_KERNELS_SAMPLING_H_
#define LINNET_KERNELS_SAMPLING_H_

#include <cstddef>
#include <cstdint>

namespace linnet {

// y = e^((x - top) / temperature), within 2e-7 of its value where that is -87 to 0; 0 below, and
// for NaN. Returns SumWeights of y. y may be x.
double WeighRow(const float* x, size_t n, float top, float temperature, float* y) noexcept;

// Of weights, none below 0: i, i + 16, i + 32 and i + 48 of every 64 are added in f32, such results
// in doubles to sum i % 16, and those in order.
double SumWeights(const float* x, size_t n) noexcept;
// SumWeights of every kSumBlock values, the last block shorter, with those under `least`, and NaN,
// taken for 0: (n + kSumBlock - 1) / kSumBlock sums.
inline constexpr size_t kSumBlock = 1024;
void SumBlocks(const float* x, size_t n, float least, double* sums) noexcept;

// Of the values from `high` on the sum as SumWeights adds them; of those from `low` to below
// `high` the values themselves, in order, in `between` [n].
struct SumAbove {
  double above;
  size_t between;
};
SumAbove SumAboveRow(const float* x, size_t n, float low, float high, float* between) noexcept;

// n >= 1, none NaN.
struct MinMax {
  float least, most;
};
MinMax MinMaxOf(const float* x, size_t n) noexcept;

// Closes the ranks of the tokens with a weight of `least` or more; returns how many there are. What
// lies beyond them is rubbish.
size_t KeepAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept;
// The same of tokens 0 to n - 1, whose ids are yet to be written.
size_t FindAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_SAMPLING_H_
