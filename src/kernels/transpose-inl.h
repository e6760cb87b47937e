// Transposed blocks: some inputs of up to 64 rows of f32, as the packers want them.
#if defined(LINNET_KERNELS_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_TRANSPOSE_INL_H_
#undef LINNET_KERNELS_TRANSPOSE_INL_H_
#else
#define LINNET_KERNELS_TRANSPOSE_INL_H_
#endif

#include <cstring>

#include "hwy/highway.h"
#include "tensor/weight.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Inputs that are transposed at a time: a cache line of every row, an even number.
constexpr size_t kTransposed = 16;

#if HWY_TARGET == HWY_SCALAR

// kTransposed inputs of 64 rows: source [row][k] to [k][row].
void Transpose(const float* x, size_t stride, float* to) {
  for (size_t row = 0; row < kPanelRows; ++row) {
    for (size_t k = 0; k < kTransposed; ++k) to[k * kPanelRows + row] = x[row * stride + k];
  }
}

#else

using TransposeD = hn::ScalableTag<float>;

// Blocks of four lanes of v to rows `stride` floats apart.
template <class DV>
HWY_INLINE void StoreBlocks(DV d, hn::Vec<DV> v, float* to, size_t stride) {
  if constexpr (hn::MaxLanes(d) <= 4) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<DV> half;
    StoreBlocks(half, hn::LowerHalf(half, v), to, stride);
    StoreBlocks(half, hn::UpperHalf(half, v), to + stride * (hn::MaxLanes(d) / 8), stride);
  }
}

// Four rows of a vector of inputs to a vector of inputs of four rows.
HWY_INLINE void TransposeFour(const float* x, size_t stride, float* to) {
  const TransposeD d;
  const hn::Repartition<double, TransposeD> dd;
  const auto a = hn::LoadU(d, x), b = hn::LoadU(d, x + stride);
  const auto c = hn::LoadU(d, x + 2 * stride), e = hn::LoadU(d, x + 3 * stride);
  const auto ab0 = hn::BitCast(dd, hn::InterleaveLower(d, a, b));
  const auto ab2 = hn::BitCast(dd, hn::InterleaveUpper(d, a, b));
  const auto ce0 = hn::BitCast(dd, hn::InterleaveLower(d, c, e));
  const auto ce2 = hn::BitCast(dd, hn::InterleaveUpper(d, c, e));
  const size_t next = 4 * kPanelRows;  // a block of four inputs further on
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveLower(dd, ab0, ce0)), to, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveUpper(dd, ab0, ce0)), to + kPanelRows, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveLower(dd, ab2, ce2)), to + 2 * kPanelRows, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveUpper(dd, ab2, ce2)), to + 3 * kPanelRows, next);
}

// kTransposed inputs of 64 rows: source [row][k] to [k][row].
void Transpose(const float* x, size_t stride, float* to) {
  constexpr size_t kLanes = hn::MaxLanes(TransposeD());
  for (size_t row = 0; row < kPanelRows; row += 4) {
    for (size_t k = 0; k < kTransposed; k += kLanes) {
      TransposeFour(x + row * stride + k, stride, to + k * kPanelRows + row);
    }
  }
}

#endif

// The first `inputs` <= kTransposed inputs of `rows` <= 64 rows to [kTransposed][64]; what is
// missing becomes zeros.
void TransposePart(const float* x, size_t stride, size_t rows, size_t inputs, float* to) {
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
