#include "kernels/odds.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/odds.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include "hwy/highway.h"
#include "kernels/map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Products and sums apart, never MulAdd, which some levels round twice.
struct NegativeExp {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    // x = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to a whole number, which stays in
    // the low bits; ln 2 in two parts keeps r exact.
    const hn::RebindToUnsigned<D> du;
    const V round = hn::Set(d, 12582912.0f);
    const V shifted = hn::Add(hn::Mul(x, hn::Set(d, 1.44269504f)), round);
    const V n = hn::Sub(shifted, round);
    const V r = hn::Add(hn::Sub(x, hn::Mul(n, hn::Set(d, 0.693359375f))),
                        hn::Mul(n, hn::Set(d, 2.12194440e-4f)));
    // e^r = 1 + r + r^2 p(r), minimax (Cephes expf).
    V p = hn::Set(d, 1.9875691500e-4f);
    for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                          5.0000001201e-1f}) {
      p = hn::Add(hn::Mul(p, r), hn::Set(d, c));
    }
    const V y = hn::Add(hn::Add(hn::Mul(hn::Mul(p, r), r), r), hn::Set(d, 1.0f));
    const auto bits = hn::Add(hn::BitCast(du, y), hn::ShiftLeft<23>(hn::BitCast(du, shifted)));
    return hn::IfThenElseZero(hn::Ge(x, hn::Set(d, -87.0f)), hn::BitCast(d, bits));  // 0 for NaN
  }
};

struct BelowTop {
  float top, temperature;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Div(hn::Sub(x, hn::Set(d, top)), hn::Set(d, temperature));
  }
};

struct UnitBelowTop {  // divided by 1, which changes nothing
  float top;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Sub(x, hn::Set(d, top));
  }
};

void ExpOfRow(const float* x, size_t n, float* y) { MapRow(x, n, y, NegativeExp()); }

void Below(const float* x, size_t n, float top, float temperature, float* y) {
  if (temperature == 1) return MapRow(x, n, y, UnitBelowTop{top});
  MapRow(x, n, y, BelowTop{top, temperature});
}

double Sum(const float* x, size_t n) {
  constexpr size_t kSums = 16;
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  constexpr size_t kLanes = hn::MaxLanes(d), kVectors = kSums / kLanes;
  hn::Vec<decltype(d)> sum[kVectors];
  HWY_UNROLL(8)
  for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      sum[v] = hn::Add(sum[v], hn::PromoteTo(d, hn::LoadU(df, x + i + v * kLanes)));
    }
  }
  HWY_ALIGN double sums[kSums];
  for (size_t v = 0; v < kVectors; ++v) hn::Store(sum[v], d, sums + v * kLanes);
  for (size_t lane = 0; i < n; ++i, ++lane) sums[lane] += static_cast<double>(x[i]);
  double all = 0;
  for (const double s : sums) all += s;
  return all;
}

Extremes LeastAndMost(const float* x, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto least = hn::Set(d, x[0]), most = least;
  for (size_t i = 0; i < n; i += lanes) {
    const auto v = i + lanes <= n ? hn::LoadU(d, x + i) : LoadPart(d, x + i, n - i, x[0]);
    least = hn::Min(least, v);
    most = hn::Max(most, v);
  }
  return {hn::GetLane(hn::MinOfLanes(d, least)), hn::GetLane(hn::MaxOfLanes(d, most))};
}

// kFresh: token i is i.
template <bool kFresh>
HWY_INLINE size_t CloseRanks(float least, size_t n, int32_t* id, float* weight) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const size_t lanes = hn::Lanes(d);
  size_t kept = 0, i = 0;
  // What is stored beyond the kept lanes was read before: kept <= i.
  for (; i + lanes <= n; i += lanes) {
    const auto weights = hn::LoadU(d, weight + i);
    const auto ids = kFresh ? hn::Iota(di, static_cast<int32_t>(i)) : hn::LoadU(di, id + i);
    const auto stay = hn::Ge(weights, hn::Set(d, least));
    const size_t count = hn::CountTrue(d, stay);
    if (count == 0) continue;
    hn::StoreU(hn::Compress(weights, stay), d, weight + kept);
    hn::StoreU(hn::Compress(ids, hn::RebindMask(di, stay)), di, id + kept);
    kept += count;
  }
  for (; i < n; ++i) {
    if (!(weight[i] >= least)) continue;
    weight[kept] = weight[i];
    id[kept++] = kFresh ? static_cast<int32_t>(i) : id[i];
  }
  return kept;
}

size_t Keep(float least, size_t n, int32_t* id, float* weight) {
  return CloseRanks<false>(least, n, id, weight);
}
size_t Find(float least, size_t n, int32_t* id, float* weight) {
  return CloseRanks<true>(least, n, id, weight);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(ExpOfRow);
HWY_EXPORT(Below);
HWY_EXPORT(Sum);
HWY_EXPORT(LeastAndMost);
HWY_EXPORT(Keep);
HWY_EXPORT(Find);

void NegativeExpRow(const float* x, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(ExpOfRow)(x, n, y);
}
void BelowTopRow(const float* x, size_t n, float top, float temperature, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(Below)(x, n, top, temperature, y);
}
double SumInDouble(const float* x, size_t n) noexcept { return HWY_DYNAMIC_DISPATCH(Sum)(x, n); }
Extremes ExtremesOf(const float* x, size_t n) noexcept {
  return HWY_DYNAMIC_DISPATCH(LeastAndMost)(x, n);
}
size_t KeepAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept {
  return HWY_DYNAMIC_DISPATCH(Keep)(least, n, id, weight);
}
size_t FindAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept {
  return HWY_DYNAMIC_DISPATCH(Find)(least, n, id, weight);
}

}  // namespace linnet
#endif  // HWY_ONCE
