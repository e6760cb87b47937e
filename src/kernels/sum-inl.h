// Sums over rows in an order that depends only on their length.
#if defined(LINNET_KERNELS_SUM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_SUM_INL_H_
#undef LINNET_KERNELS_SUM_INL_H_
#else
#define LINNET_KERNELS_SUM_INL_H_
#endif

#include <algorithm>

#include "hwy/highway.h"
#include "kernels/map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Uses 32 interleaved partial sums at any vector length: value i is added to sum i % 32, and the 32
// sums are added by halves. So the order depends on n alone.
constexpr size_t kSums = 32;

template <class D>
HWY_INLINE hn::Vec<D> LoadUpTo(D d, const float* x, size_t begin, size_t n, float pad) {
  if (begin + hn::Lanes(d) <= n) return hn::LoadU(d, x + begin);
  return LoadPartial(d, x + std::min(begin, n), n - std::min(begin, n), pad);
}

// The sum of all lanes: the upper half is added to the lower one, down to one lane.
template <class D>
HWY_INLINE float FoldInHalves(D d, hn::Vec<D> v) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (hn::MaxLanes(d) > 1) {
    const hn::Half<D> half;
    return FoldInHalves(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
#endif
  (void)d;
  return hn::GetLane(v);
}

// Reduces rows of inputs: sum = f(d, sum, inputs...). `pad` replaces inputs beyond the end.
template <class F, class... P>
HWY_INLINE float SumOver(const F& f, float pad, size_t n, const P*... x) {
  const hn::ScalableTag<float> d;
  constexpr size_t kLanes = hn::MaxLanes(d), kVectors = kSums / kLanes;
  hn::Vec<decltype(d)> sum[kVectors];
  HWY_UNROLL(8)
  for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      sum[v] = f(d, sum[v], hn::LoadU(d, x + i + v * kLanes)...);
    }
  }
  if (i < n) {
    for (size_t v = 0; v < kVectors; ++v) {
      sum[v] = f(d, sum[v], LoadUpTo(d, x, i + v * kLanes, n, pad)...);
    }
  }
  HWY_UNROLL(8)
  for (size_t count = kVectors / 2; count > 0; count /= 2) {
    for (size_t v = 0; v < count; ++v) sum[v] = hn::Add(sum[v], sum[v + count]);
  }
  return FoldInHalves(d, sum[0]);
}

struct AddValue {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V sum, V x) const {
    return hn::Add(sum, x);
  }
};

struct AddProduct {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V sum, V a, V b) const {
    return hn::MulAdd(a, b, sum);
  }
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V sum, V a, V b, V c) const {
    return hn::MulAdd(hn::Mul(a, b), c, sum);
  }
};

struct AddSquare {
  float center;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V sum, V x) const {
    const V off = hn::Sub(x, hn::Set(d, center));
    return hn::MulAdd(off, off, sum);
  }
};

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_SUM_INL_H_
