// The building block of f32 transpositions.
#if defined(LINNET_KERNELS_TRANSPOSE_FOUR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_TRANSPOSE_FOUR_INL_H_
#undef LINNET_KERNELS_TRANSPOSE_FOUR_INL_H_
#else
#define LINNET_KERNELS_TRANSPOSE_FOUR_INL_H_
#endif

#include "hwy/highway.h"

#if HWY_TARGET != HWY_SCALAR

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using TransposeD = hn::ScalableTag<float>;

// Stores the 16-byte blocks of v `stride` values apart.
template <class DV>
HWY_INLINE void StoreBlocks(DV d, hn::Vec<DV> v, hn::TFromD<DV>* to, size_t stride) {
  if constexpr (hn::MaxLanes(d) * sizeof(*to) <= 16) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<DV> half;
    constexpr size_t kBlocks = hn::MaxLanes(d) * sizeof(*to) / 32;
    StoreBlocks(half, hn::LowerHalf(half, v), to, stride);
    StoreBlocks(half, hn::UpperHalf(half, v), to + kBlocks * stride, stride);
  }
}

// Transposes one vector of inputs from each of four rows, stored `to_stride` apart.
HWY_INLINE void TransposeFour(const float* x, size_t stride, float* to, size_t to_stride) {
  const TransposeD d;
  const hn::Repartition<double, TransposeD> dd;
  const auto a = hn::LoadU(d, x), b = hn::LoadU(d, x + stride);
  const auto c = hn::LoadU(d, x + 2 * stride), e = hn::LoadU(d, x + 3 * stride);
  const auto ab0 = hn::BitCast(dd, hn::InterleaveLower(d, a, b));
  const auto ab2 = hn::BitCast(dd, hn::InterleaveUpper(d, a, b));
  const auto ce0 = hn::BitCast(dd, hn::InterleaveLower(d, c, e));
  const auto ce2 = hn::BitCast(dd, hn::InterleaveUpper(d, c, e));
  const size_t next = 4 * to_stride;  // a block of four inputs
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveLower(dd, ab0, ce0)), to, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveUpper(dd, ab0, ce0)), to + to_stride, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveLower(dd, ab2, ce2)), to + 2 * to_stride, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveUpper(dd, ab2, ce2)), to + 3 * to_stride, next);
}

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

#endif  // LINNET_KERNELS_TRANSPOSE_FOUR_INL_H_
