// Loops of elementwise maps over rows. The tail uses a padded vector, so every value is computed by
// the same instructions wherever it is in the row.
#if defined(LINNET_KERNELS_MAP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_MAP_INL_H_
#undef LINNET_KERNELS_MAP_INL_H_
#else
#define LINNET_KERNELS_MAP_INL_H_
#endif

#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The first `count` < Lanes(d) values at x, then `pad`; reads nothing beyond them.
template <class D>
HWY_INLINE hn::Vec<D> LoadPartial(D d, const hn::TFromD<D>* x, size_t count, hn::TFromD<D> pad) {
  HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(d)];
  hn::Store(hn::Set(d, pad), d, lanes);
  std::memcpy(lanes, x, count * sizeof(*x));
  return hn::Load(d, lanes);
}

template <class D, class V>
HWY_INLINE void StorePartial(V v, D d, hn::TFromD<D>* y, size_t count) {
  HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  std::memcpy(y, lanes, count * sizeof(*y));
}

template <class F>
HWY_INLINE void MapRow(const float* x, size_t n, float* y, const F& f) {
  const hn::ScalableTag<float> d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) hn::StoreU(f(d, hn::LoadU(d, x + i)), d, y + i);
  if (i < n) StorePartial(f(d, LoadPartial(d, x + i, n - i, 0.0f)), d, y + i, n - i);
}

template <class F>
HWY_INLINE void MapRow(const float* a, const float* b, size_t n, float* y, const F& f) {
  const hn::ScalableTag<float> d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, y + i);
  }
  if (i == n) return;
  const auto last_a = LoadPartial(d, a + i, n - i, 0.0f),
             last_b = LoadPartial(d, b + i, n - i, 0.0f);
  StorePartial(f(d, last_a, last_b), d, y + i, n - i);
}

template <class F>
HWY_INLINE void MapRow(const float* a, const float* b, const float* c, size_t n, float* y,
                       const F& f) {
  const hn::ScalableTag<float> d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i), hn::LoadU(d, c + i)), d, y + i);
  }
  if (i == n) return;
  const auto last_a = LoadPartial(d, a + i, n - i, 0.0f),
             last_b = LoadPartial(d, b + i, n - i, 0.0f);
  StorePartial(f(d, last_a, last_b, LoadPartial(d, c + i, n - i, 0.0f)), d, y + i, n - i);
}

// Calls body(d, i) over a whole row: full vectors, then single lanes with the same operations.
template <class Body>
HWY_INLINE void ForLanes(size_t n, const Body& body) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) body(d, i);
  for (; i < n; ++i) body(one, i);
}

// to += a b.
template <class D>
HWY_INLINE void Accumulate(D d, hn::Vec<D> a, hn::Vec<D> b, float* to) {
  hn::StoreU(hn::MulAdd(a, b, hn::LoadU(d, to)), d, to);
}

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_MAP_INL_H_
