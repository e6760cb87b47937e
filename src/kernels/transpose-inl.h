// Transposed blocks: some inputs of up to 64 rows of f32, for the packers.
#if defined(LINNET_KERNELS_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_TRANSPOSE_INL_H_
#undef LINNET_KERNELS_TRANSPOSE_INL_H_
#else
#define LINNET_KERNELS_TRANSPOSE_INL_H_
#endif

#include <cstring>

#include "hwy/highway.h"
#include "kernels/transpose_four-inl.h"
#include "tensor/weight.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Inputs transposed at a time: a cache line of every row, an even number.
constexpr size_t kTransposed = 16;

#if HWY_TARGET == HWY_SCALAR

// kTransposed inputs of 64 rows: source [row][k] to [k][row].
void Transpose(const float* x, size_t stride, float* to) {
  for (size_t row = 0; row < kPanelRows; ++row) {
    for (size_t k = 0; k < kTransposed; ++k) to[k * kPanelRows + row] = x[row * stride + k];
  }
}

#else

// kTransposed inputs of 64 rows: source [row][k] to [k][row].
void Transpose(const float* x, size_t stride, float* to) {
  constexpr size_t kLanes = hn::MaxLanes(TransposeD());
  for (size_t row = 0; row < kPanelRows; row += 4) {
    for (size_t k = 0; k < kTransposed; k += kLanes) {
      TransposeFour(x + row * stride + k, stride, to + k * kPanelRows + row, kPanelRows);
    }
  }
}

#endif

// The first `inputs` <= kTransposed inputs of `rows` <= 64 rows to [kTransposed][64]; missing
// values become zeros.
void TransposePartial(const float* x, size_t stride, size_t rows, size_t inputs, float* to) {
  if (rows == kPanelRows && inputs == kTransposed) return Transpose(x, stride, to);
  HWY_ALIGN float padded[kPanelRows * kTransposed] = {};
  for (size_t row = 0; row < rows; ++row) {
    std::memcpy(padded + row * kTransposed, x + row * stride, inputs * sizeof(float));
  }
  Transpose(padded, kTransposed, to);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_TRANSPOSE_INL_H_
