#include "kernels/sampling.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sampling.cc"
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

// Separate multiplies and adds, never MulAdd, which rounds twice at some levels.
struct NegativeExp {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    // x = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer, which stays in the
    // low bits; ln 2 as a sum of two numbers keeps r exact.
    const hn::RebindToUnsigned<D> du;
    const V round = hn::Set(d, 12582912.0f);
    const V shifted = hn::Add(hn::Mul(x, hn::Set(d, 1.44269504f)), round);
    const V n = hn::Sub(shifted, round);
    const V r = hn::Add(hn::Sub(x, hn::Mul(n, hn::Set(d, 0.693359375f))),
                        hn::Mul(n, hn::Set(d, 2.12194440e-4f)));
    // e^r = 1 + r + r^2 p(r), minimax to 4e-9.
    V p = hn::Set(d, 1.3814539416e-3f);
    for (const float c : {8.3687454462e-3f, 4.1668388993e-2f, 1.6666521132e-1f, 4.9999994040e-1f}) {
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

struct UnitBelowTop {  // divided by 1, which is exact
  float top;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Sub(x, hn::Set(d, top));
  }
};

// Sixteen sums of doubles. Of every 64 values those with equal i % 16 are added in f32, which is
// four times faster, then added to sum i % 16. The order is the same for any vector length.
class Sums {
 public:
  static constexpr size_t kRun = 64;

  Sums() {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) sums_[v] = hn::Zero(D());
  }
  // f(df, x) of kRun values.
  template <class F>
  HWY_INLINE void Add(const float* x, const F& f) {
    const hn::ScalableTag<float> df;
    const auto at = [&](size_t i) HWY_ATTR { return f(df, hn::LoadU(df, x + i)); };
    HWY_ALIGN float fours[kSums];
    HWY_UNROLL(4)
    for (size_t i = 0; i < kSums; i += hn::MaxLanes(df)) {
      hn::Store(
          hn::Add(hn::Add(at(i), at(i + kSums)), hn::Add(at(i + 2 * kSums), at(i + 3 * kSums))), df,
          fours + i);
    }
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      sums_[v] = hn::Add(sums_[v], hn::PromoteTo(D(), hn::Load(Floats(), fours + v * kLanes)));
    }
  }
  // With the last n < kRun values; f(0) is 0.
  template <class F>
  HWY_INLINE double Close(const float* x, size_t n, const F& f) {
    HWY_ALIGN float last[kRun] = {};
    std::copy_n(x, n, last);
    Add(last, f);
    HWY_ALIGN double sums[kSums];
    for (size_t v = 0; v < kVectors; ++v) hn::Store(sums_[v], D(), sums + v * kLanes);
    double all = 0;
    for (const double sum : sums) all += sum;
    return all;
  }

 private:
  using D = hn::ScalableTag<double>;
  using Floats = hn::Rebind<float, D>;
  static constexpr size_t kSums = 16, kLanes = hn::MaxLanes(D()), kVectors = kSums / kLanes;
  hn::Vec<D> sums_[kVectors];
};

struct Same {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return x;
  }
};

struct AtLeast {  // or 0
  float least;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::IfThenElseZero(hn::Ge(x, hn::Set(d, least)), x);
  }
};

template <class F>
HWY_INLINE double SumOf(const float* x, size_t n, const F& f) {
  Sums sums;
  size_t i = 0;
  for (; i + Sums::kRun <= n; i += Sums::kRun) sums.Add(x + i, f);
  return sums.Close(x + i, n - i, f);
}

double Sum(const float* x, size_t n) { return SumOf(x, n, Same()); }

void Blocks(const float* x, size_t n, float least, double* sums) {
  for (size_t at = 0; at < n; at += kSumBlock) {
    *sums++ = SumOf(x + at, HWY_MIN(kSumBlock, n - at), AtLeast{least});
  }
}

template <class Below>
struct Weight {
  Below below;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return NegativeExp()(d, below(d, x));
  }
};

template <class F>
HWY_INLINE double MapAndSum(const float* x, size_t n, float* y, const F& f) {
  Sums sums;
  size_t i = 0;
  for (; i + Sums::kRun <= n; i += Sums::kRun) {
    MapRow(x + i, Sums::kRun, y + i, f);
    sums.Add(y + i, Same());
  }
  MapRow(x + i, n - i, y + i, f);
  return sums.Close(y + i, n - i, Same());
}

double Weights(const float* x, size_t n, float top, float temperature, float* y) {
  if (temperature == 1) return MapAndSum(x, n, y, Weight<UnitBelowTop>{{top}});
  return MapAndSum(x, n, y, Weight<BelowTop>{{top, temperature}});
}

SumAbove SumAboveAt(const float* x, size_t n, float low, float high, float* between) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const AtLeast above{high};
  Sums sums;
  size_t found = 0, i = 0;
  // Values stored beyond the found ones stay within [n]: found <= i.
  for (; i + Sums::kRun <= n; i += Sums::kRun) {
    sums.Add(x + i, above);
    for (size_t v = 0; v < Sums::kRun; v += lanes) {
      const auto values = hn::LoadU(d, x + i + v);
      const auto in = hn::And(hn::Ge(values, hn::Set(d, low)), hn::Lt(values, hn::Set(d, high)));
      hn::StoreU(hn::Compress(values, in), d, between + found);
      found += hn::CountTrue(d, in);
    }
  }
  for (size_t at = i; at < n; ++at) {
    if (x[at] >= low && x[at] < high) between[found++] = x[at];
  }
  return {sums.Close(x + i, n - i, above), found};
}

MinMax FindMinMax(const float* x, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto least = hn::Set(d, x[0]), most = least;
  for (size_t i = 0; i < n; i += lanes) {
    const auto v = i + lanes <= n ? hn::LoadU(d, x + i) : LoadPartial(d, x + i, n - i, x[0]);
    least = hn::Min(least, v);
    most = hn::Max(most, v);
  }
  return {hn::GetLane(hn::MinOfLanes(d, least)), hn::GetLane(hn::MaxOfLanes(d, most))};
}

// kFresh: token i is at index i.
template <bool kFresh>
HWY_INLINE size_t Compact(float least, size_t n, int32_t* id, float* weight) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const size_t lanes = hn::Lanes(d);
  const auto floor = hn::Set(d, least);
  size_t kept = 0, i = 0;
  // Runs are skipped whole or compacted without branches, which could not be predicted. Lanes
  // stored beyond the kept ones overwrite only values that were read before: kept <= i.
  for (const size_t run = 4 * lanes; i + run <= n; i += run) {
    const float* at = weight + i;
    const auto any =
        hn::Or(hn::Or(hn::Ge(hn::LoadU(d, at), floor), hn::Ge(hn::LoadU(d, at + lanes), floor)),
               hn::Or(hn::Ge(hn::LoadU(d, at + 2 * lanes), floor),
                      hn::Ge(hn::LoadU(d, at + 3 * lanes), floor)));
    if (hn::AllFalse(d, any)) continue;
    for (size_t v = i; v < i + run; v += lanes) {
      const auto weights = hn::LoadU(d, weight + v);
      const auto ids = kFresh ? hn::Iota(di, static_cast<int32_t>(v)) : hn::LoadU(di, id + v);
      const auto stay = hn::Ge(weights, floor);
      hn::StoreU(hn::Compress(weights, stay), d, weight + kept);
      hn::StoreU(hn::Compress(ids, hn::RebindMask(di, stay)), di, id + kept);
      kept += hn::CountTrue(d, stay);
    }
  }
  for (; i < n; ++i) {
    if (!(weight[i] >= least)) continue;
    weight[kept] = weight[i];
    id[kept++] = kFresh ? static_cast<int32_t>(i) : id[i];
  }
  return kept;
}

size_t Keep(float least, size_t n, int32_t* id, float* weight) {
  return Compact<false>(least, n, id, weight);
}
size_t Find(float least, size_t n, int32_t* id, float* weight) {
  return Compact<true>(least, n, id, weight);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Weights);
HWY_EXPORT(Sum);
HWY_EXPORT(Blocks);
HWY_EXPORT(SumAboveAt);
HWY_EXPORT(FindMinMax);
HWY_EXPORT(Keep);
HWY_EXPORT(Find);

double WeighRow(const float* x, size_t n, float top, float temperature, float* y) noexcept {
  return HWY_DYNAMIC_DISPATCH(Weights)(x, n, top, temperature, y);
}
double SumWeights(const float* x, size_t n) noexcept { return HWY_DYNAMIC_DISPATCH(Sum)(x, n); }
void SumBlocks(const float* x, size_t n, float least, double* sums) noexcept {
  HWY_DYNAMIC_DISPATCH(Blocks)(x, n, least, sums);
}
SumAbove SumAboveRow(const float* x, size_t n, float low, float high, float* between) noexcept {
  return HWY_DYNAMIC_DISPATCH(SumAboveAt)(x, n, low, high, between);
}
MinMax MinMaxOf(const float* x, size_t n) noexcept {
  return HWY_DYNAMIC_DISPATCH(FindMinMax)(x, n);
}
size_t KeepAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept {
  return HWY_DYNAMIC_DISPATCH(Keep)(least, n, id, weight);
}
size_t FindAtLeast(float least, size_t n, int32_t* id, float* weight) noexcept {
  return HWY_DYNAMIC_DISPATCH(Find)(least, n, id, weight);
}

}  // namespace linnet
#endif  // HWY_ONCE
