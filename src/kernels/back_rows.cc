#include "kernels/back_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/back_rows.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include "hwy/highway.h"
#include "kernels/map-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <Slope kSlope>
struct SlopeOf {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    const V one = hn::Set(d, 1.0f);
    if constexpr (kSlope == Slope::kMinusOne) return hn::Set(d, -1.0f);
    if constexpr (kSlope == Slope::kSigmoid) return hn::Mul(y, hn::Sub(one, y));
    if constexpr (kSlope == Slope::kTanh) return hn::NegMulAdd(y, y, one);
    if constexpr (kSlope == Slope::kSilu) {
      const V s = SigmoidOf(d, x);
      return hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one));
    }
    if constexpr (kSlope == Slope::kReluSquared) {
      const V root = hn::Sqrt(y);
      return hn::Add(root, root);
    }
    if constexpr (kSlope == Slope::kExpNegExp) {
      // y is 0 from x = 6 on, where exp(x) may be infinite.
      return hn::Neg(hn::Mul(ExpOf(d, hn::Min(x, hn::Set(d, 6.0f))), y));
    }
    if constexpr (kSlope == Slope::kWkv7Decay) {
      const V s = SigmoidOf(d, x);
      const V falling = hn::Mul(hn::Set(d, -0.60653065971f), hn::Mul(s, hn::Sub(one, s)));
      return hn::Mul(falling, y);
    }
  }
};

template <Slope kSlope>
void SlopeRow(const float* x, const float* y, const float* dy, size_t n, float* dx) {
  const hn::ScalableTag<float> d;
  const SlopeOf<kSlope> slope;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto s = slope(d, hn::LoadU(d, x + i), hn::LoadU(d, y + i));
    hn::StoreU(hn::MulAdd(hn::LoadU(d, dy + i), s, hn::LoadU(d, dx + i)), d, dx + i);
  }
  if (i == n) return;
  const auto load = [&](const float* from)
                        HWY_ATTR { return LoadPartial(d, from + i, n - i, 0.0f); };
  const auto s = slope(d, load(x), load(y));
  StorePartial(hn::MulAdd(load(dy), s, load(dx)), d, dx + i, n - i);
}

void AddSlope(Slope slope, const float* x, const float* y, const float* dy, size_t n, float* dx) {
  switch (slope) {
    case Slope::kMinusOne:
      return SlopeRow<Slope::kMinusOne>(x, y, dy, n, dx);
    case Slope::kSigmoid:
      return SlopeRow<Slope::kSigmoid>(x, y, dy, n, dx);
    case Slope::kTanh:
      return SlopeRow<Slope::kTanh>(x, y, dy, n, dx);
    case Slope::kSilu:
      return SlopeRow<Slope::kSilu>(x, y, dy, n, dx);
    case Slope::kReluSquared:
      return SlopeRow<Slope::kReluSquared>(x, y, dy, n, dx);
    case Slope::kExpNegExp:
      return SlopeRow<Slope::kExpNegExp>(x, y, dy, n, dx);
    case Slope::kWkv7Decay:
      return SlopeRow<Slope::kWkv7Decay>(x, y, dy, n, dx);
  }
}

template <Slope kSlope>
struct MulSlopeOf {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V y, V g) const {
    return hn::Mul(g, SlopeOf<kSlope>()(d, y, y));
  }
};

void MulSlope(Slope slope, const float* y, size_t n, float* g) {
  switch (slope) {
    case Slope::kSigmoid:
      return MapRow(y, g, n, g, MulSlopeOf<Slope::kSigmoid>());
    case Slope::kTanh:
      return MapRow(y, g, n, g, MulSlopeOf<Slope::kTanh>());
    case Slope::kReluSquared:
      return MapRow(y, g, n, g, MulSlopeOf<Slope::kReluSquared>());
    case Slope::kMinusOne:
      return MapRow(y, g, n, g, MulSlopeOf<Slope::kMinusOne>());
    case Slope::kSilu:
    case Slope::kExpNegExp:
    case Slope::kWkv7Decay:
      break;
  }
  HWY_ABORT("this slope needs the input");
}

struct AddProductOf {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V b, V y) const {
    return hn::MulAdd(a, b, y);
  }
};

struct AddDifferenceOf {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V b, V y) const {
    return hn::Add(y, hn::Sub(a, b));
  }
};

void AddProduct(const float* a, const float* b, size_t n, float* y) {
  MapRow(a, b, y, n, y, AddProductOf());
}

void AddDifference(const float* a, const float* b, size_t n, float* y) {
  MapRow(a, b, y, n, y, AddDifferenceOf());
}

struct LerpBackOf {
  const float *dy, *d, *mu;
  float *dx, *dd, *dmu;
  template <class D>
  HWY_INLINE void operator()(D tag, size_t i) const {
    const auto g = hn::LoadU(tag, dy + i);
    hn::StoreU(hn::Add(hn::LoadU(tag, dx + i), g), tag, dx + i);
    Accumulate(tag, g, hn::LoadU(tag, mu + i), dd + i);
    Accumulate(tag, g, hn::LoadU(tag, d + i), dmu + i);
  }
};

void LerpBack(const float* dy, const float* d, const float* mu, size_t n, float* dx, float* dd,
              float* dmu) {
  ForLanes(n, LerpBackOf{dy, d, mu, dx, dd, dmu});
}

template <size_t kMixes>
struct MixOf {
  const float *x, *last;
  const float* const* mu;
  float* const* y;
  template <class D>
  HWY_INLINE void operator()(D tag, size_t i) const {
    const auto now = hn::LoadU(tag, x + i);
    const auto difference = hn::Sub(hn::LoadU(tag, last + i), now);
    HWY_UNROLL(8)
    for (size_t m = 0; m < kMixes; ++m) {
      hn::StoreU(hn::MulAdd(difference, hn::LoadU(tag, mu[m] + i), now), tag, y[m] + i);
    }
  }
};

template <size_t kMixes>
struct MixBackOf {
  const float* const* dy;
  const float *x, *last;
  const float* const* mu;
  float *dx, *dlast;
  float* const* dmu;
  template <class D>
  HWY_INLINE void operator()(D tag, size_t i) const {
    const auto difference = hn::Sub(hn::LoadU(tag, last + i), hn::LoadU(tag, x + i));
    auto all = hn::Zero(tag), back = hn::Zero(tag);
    HWY_UNROLL(8)
    for (size_t m = 0; m < kMixes; ++m) {
      const auto g = hn::LoadU(tag, dy[m] + i);
      all = hn::Add(all, g);
      back = hn::MulAdd(g, hn::LoadU(tag, mu[m] + i), back);
      Accumulate(tag, g, difference, dmu[m] + i);
    }
    hn::StoreU(hn::Add(hn::LoadU(tag, dlast + i), back), tag, dlast + i);
    hn::StoreU(hn::Add(hn::LoadU(tag, dx + i), hn::Sub(all, back)), tag, dx + i);
  }
};

template <size_t kMixes>
void MixN(const float* x, const float* last, const float* const* mu, size_t mixes, size_t n,
          float* const* y) {
  if constexpr (kMixes > 0) {
    if (mixes < kMixes) return MixN<kMixes - 1>(x, last, mu, mixes, n, y);
    ForLanes(n, MixOf<kMixes>{x, last, mu, y});
  }
}

template <size_t kMixes>
void MixBackN(const float* const* dy, const float* x, const float* last, const float* const* mu,
              size_t mixes, size_t n, float* dx, float* dlast, float* const* dmu) {
  if constexpr (kMixes > 0) {
    if (mixes < kMixes) return MixBackN<kMixes - 1>(dy, x, last, mu, mixes, n, dx, dlast, dmu);
    ForLanes(n, MixBackOf<kMixes>{dy, x, last, mu, dx, dlast, dmu});
  }
}

void Mix(const float* x, const float* last, const float* const* mu, size_t mixes, size_t n,
         float* const* y) {
  MixN<kMaxMixes>(x, last, mu, mixes, n, y);
}

void MixBack(const float* const* dy, const float* x, const float* last, const float* const* mu,
             size_t mixes, size_t n, float* dx, float* dlast, float* const* dmu) {
  MixBackN<kMaxMixes>(dy, x, last, mu, mixes, n, dx, dlast, dmu);
}

struct NormParamsBackOf {
  const float *x, *dy;
  Moments moments;
  float *dgain, *dbias;
  template <class D>
  HWY_INLINE void operator()(D tag, size_t i) const {
    const auto g = hn::LoadU(tag, dy + i);
    const auto off = hn::Sub(hn::LoadU(tag, x + i), hn::Set(tag, moments.mean));
    Accumulate(tag, g, hn::Mul(off, hn::Set(tag, moments.inverse)), dgain + i);
    hn::StoreU(hn::Add(hn::LoadU(tag, dbias + i), g), tag, dbias + i);
  }
};

void NormParamsBack(const float* x, const float* dy, Moments moments, size_t n, float* dgain,
                    float* dbias) {
  ForLanes(n, NormParamsBackOf{x, dy, moments, dgain, dbias});
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(AddSlope);
HWY_EXPORT(MulSlope);
HWY_EXPORT(AddProduct);
HWY_EXPORT(AddDifference);
HWY_EXPORT(LerpBack);
HWY_EXPORT(Mix);
HWY_EXPORT(MixBack);
HWY_EXPORT(NormParamsBack);

void AddSlopeRow(Slope slope, const float* x, const float* y, const float* dy, size_t n,
                 float* dx) noexcept {
  HWY_DYNAMIC_DISPATCH(AddSlope)(slope, x, y, dy, n, dx);
}
void MulSlopeRow(Slope slope, const float* y, size_t n, float* g) noexcept {
  HWY_DYNAMIC_DISPATCH(MulSlope)(slope, y, n, g);
}
void AddProductRow(const float* a, const float* b, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(AddProduct)(a, b, n, y);
}
void AddDifferenceRow(const float* a, const float* b, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(AddDifference)(a, b, n, y);
}
void LerpBackRow(const float* dy, const float* d, const float* mu, size_t n, float* dx, float* dd,
                 float* dmu) noexcept {
  HWY_DYNAMIC_DISPATCH(LerpBack)(dy, d, mu, n, dx, dd, dmu);
}
void MixRow(const float* x, const float* last, const float* const* mu, size_t mixes, size_t n,
            float* const* y) noexcept {
  HWY_DYNAMIC_DISPATCH(Mix)(x, last, mu, mixes, n, y);
}
void MixBackRow(const float* const* dy, const float* x, const float* last, const float* const* mu,
                size_t mixes, size_t n, float* dx, float* dlast, float* const* dmu) noexcept {
  HWY_DYNAMIC_DISPATCH(MixBack)(dy, x, last, mu, mixes, n, dx, dlast, dmu);
}
void NormParamsBackRow(const float* x, const float* dy, Moments moments, size_t n, float* dgain,
                       float* dbias) noexcept {
  HWY_DYNAMIC_DISPATCH(NormParamsBack)(x, dy, moments, n, dgain, dbias);
}

}  // namespace linnet
#endif  // HWY_ONCE
