// Kernels of sampling: from a row of logits to unnormalized probabilities ("weights"), their sums
// and selections. The bits are the same at every instruction-set level, so a seed gives the same
// text on every machine.
#ifndef LINNET_KERNELS_SAMPLING_H_
#define LINNET_KERNELS_SAMPLING_H_

#include <cstddef>
#include <cstdint>

namespace linnet {

// y = e^((x - top) / temperature) with a relative error below 2e-7 where the exponent is -87 to 0;
// 0 below that, and for NaN. Returns SumWeights(y). y may be x.
double WeighRow(const float* x, size_t n, float top, float temperature, float* y) noexcept;

// The sum of weights, none negative. Of every 64 values, i, i + 16, i + 32 and i + 48 are added in
// f32; the results are accumulated as doubles in 16 sums, which are then added in order.
double SumWeights(const float* x, size_t n) noexcept;
// SumWeights of each block of kSumBlock values, the last one shorter; values below `least` and NaN
// count as 0. Writes (n + kSumBlock - 1) / kSumBlock sums.
inline constexpr size_t kSumBlock = 1024;
void SumBlocks(const float* x, size_t n, float least, double* sums) noexcept;

// Sums the values >= `high` as SumWeights does, and copies the values in [low, high), in order, to
// `between` [n].
struct SumAbove {
  double above;    // the sum
  size_t between;  // how many were copied
};
SumAbove SumAboveRow(const float* x, size_t n, float low, float high, float* between) noexcept;

// n >= 1, none NaN.
struct MinMax {
  float least, most;
};
MinMax MinMaxOf(const float* x, size_t n) noexcept;

// Compacts `id` and `weight` in place to the tokens with a weight of `least` or more; returns their
// number. What lies beyond them is unspecified.
size_t KeepAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept;
// The same for tokens 0 to n - 1, whose ids are not written yet.
size_t FindAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_SAMPLING_H_
