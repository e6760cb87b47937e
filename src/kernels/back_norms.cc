#include "kernels/back_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/back_norms.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cmath>

#include "hwy/highway.h"
#include "kernels/map-inl.h"
#include "kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// sum of dy gain z, z = (x - mean) inverse.
struct AddAlong {
  Moments moments;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V sum, V x, V dy, V gain) const {
    const V z = hn::Mul(hn::Sub(x, hn::Set(d, moments.mean)), hn::Set(d, moments.inverse));
    return hn::MulAdd(hn::Mul(dy, gain), z, sum);
  }
};

// dx += inverse (dy gain - level - z along): `level` and `along` are means over the group.
void NormBackGroup(const float* x, const float* dy, const float* gain, Moments moments, float level,
                   float along, size_t n, float* dx) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto mean = hn::Set(d, moments.mean), inverse = hn::Set(d, moments.inverse);
  for (size_t i = 0; i < n; i += lanes) {
    const size_t count = std::min(lanes, n - i);
    const auto load = [&](const float* from) HWY_ATTR {
      return count == lanes ? hn::LoadU(d, from + i) : LoadPartial(d, from + i, count, 0.0f);
    };
    const auto z = hn::Mul(hn::Sub(load(x), mean), inverse);
    auto slope = hn::MulSub(load(dy), load(gain), hn::Set(d, level));
    slope = hn::NegMulAdd(z, hn::Set(d, along), slope);
    const auto sum = hn::MulAdd(inverse, slope, load(dx));
    if (count == lanes) {
      hn::StoreU(sum, d, dx + i);
    } else {
      StorePartial(sum, d, dx + i, count);
    }
  }
}

void NormBack(const float* x, const float* dy, size_t n, size_t groups, const float* gain,
              float eps, float* dx, Moments* moments) {
  const size_t size = n / groups;
  const float count = static_cast<float>(size);
  for (size_t g = 0; g < groups; ++g) {
    const size_t at = g * size;
    const float mean = SumOver(AddValue(), 0.0f, size, x + at) / count;
    const float variance = SumOver(AddSquare{mean}, mean, size, x + at) / count;
    moments[g] = {mean, 1.0f / std::sqrt(variance + eps)};
    if (dx == nullptr) continue;
    const float level = SumOver(AddProduct(), 0.0f, size, dy + at, gain + at) / count;
    const float along =
        SumOver(AddAlong{moments[g]}, 0.0f, size, x + at, dy + at, gain + at) / count;
    NormBackGroup(x + at, dy + at, gain + at, moments[g], level, along, size, dx + at);
  }
}

struct NormalizeBackOf {
  float inverse, along;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V dy, V y, V dx) const {
    const V across = hn::NegMulAdd(y, hn::Set(d, along), dy);
    return hn::MulAdd(across, hn::Set(d, inverse), dx);
  }
};

void NormalizeBack(const float* x, const float* y, const float* dy, size_t n, float* dx) {
  constexpr float kSmallest = 1e-12f;
  const float length = std::sqrt(SumOver(AddProduct(), 0.0f, n, x, x));
  // Below kSmallest the divisor is a constant.
  const float along = length > kSmallest ? SumOver(AddProduct(), 0.0f, n, y, dy) : 0.0f;
  MapRow(dy, y, dx, n, dx, NormalizeBackOf{1.0f / std::max(length, kSmallest), along});
}

// With kk = -remove and dkk = dreplace a - dremove: the sum of kk dkk.
struct AddAlongKey {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V sum, V remove, V dremove, V dreplace, V a) const {
    return hn::MulAdd(remove, hn::NegMulAdd(dreplace, a, dremove), sum);
  }
};

struct AddSquaredProduct {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V sum, V a, V b) const {
    const V product = hn::Mul(a, b);
    return hn::MulAdd(product, product, sum);
  }
};

struct Wkv7KeysBackOf {
  const Wkv7KeyRows& in;
  const Wkv7KeyGradients& to;
  float inverse, along;
  template <class D>
  HWY_INLINE void operator()(D d, size_t i) const {
    const auto k = hn::LoadU(d, in.k + i), a = hn::LoadU(d, in.a + i);
    const auto k_k = hn::LoadU(d, in.k_k + i), k_a = hn::LoadU(d, in.k_a + i);
    const auto kk = hn::Neg(hn::LoadU(d, in.remove + i));
    const auto dkey = hn::LoadU(d, in.dkey + i), dreplace = hn::LoadU(d, in.dreplace + i);
    const auto dkk = hn::MulSub(dreplace, a, hn::LoadU(d, in.dremove + i));
    const auto du = hn::Mul(hn::NegMulAdd(kk, hn::Set(d, along), dkk), hn::Set(d, inverse));
    if (to.a != nullptr) {
      const auto da = hn::MulAdd(dreplace, kk, hn::Mul(dkey, hn::Mul(k, k_a)));
      hn::StoreU(hn::Add(hn::LoadU(d, to.a + i), da), d, to.a + i);
    }
    if (to.k != nullptr) {
      const auto one = hn::Set(d, 1.0f);
      const auto slope = hn::MulAdd(hn::Sub(a, one), k_a, one);
      const auto dk = hn::MulAdd(du, k_k, hn::Mul(dkey, slope));
      hn::StoreU(hn::Add(hn::LoadU(d, to.k + i), dk), d, to.k + i);
    }
    if (to.k_k != nullptr) Accumulate(d, du, k, to.k_k + i);
    if (to.k_a != nullptr) Accumulate(d, dkey, hn::MulSub(k, a, k), to.k_a + i);
  }
};

void Wkv7KeysBack(const Wkv7KeyRows& in, size_t n, const Wkv7KeyGradients& to) {
  constexpr float kSmallest = 1e-12f;
  const float length = std::sqrt(SumOver(AddSquaredProduct(), 0.0f, n, in.k, in.k_k));
  const float along =
      length > kSmallest ? SumOver(AddAlongKey(), 0.0f, n, in.remove, in.dremove, in.dreplace, in.a)
                         : 0.0f;
  ForLanes(n, Wkv7KeysBackOf{in, to, 1.0f / std::max(length, kSmallest), along});
}

struct BetweenBackOf {
  const float *dy, *x, *z, *share;
  float *dx, *dz, *dshare;
  template <class D>
  HWY_INLINE void operator()(D d, size_t i) const {
    const auto g = hn::LoadU(d, dy + i), s = hn::LoadU(d, share + i);
    const auto there = hn::Mul(g, s);
    hn::StoreU(hn::Add(hn::LoadU(d, dx + i), hn::Sub(g, there)), d, dx + i);
    hn::StoreU(hn::Add(hn::LoadU(d, dz + i), there), d, dz + i);
    Accumulate(d, g, hn::Sub(hn::LoadU(d, z + i), hn::LoadU(d, x + i)), dshare + i);
  }
};

void BetweenBack(const float* dy, const float* x, const float* z, const float* share, size_t n,
                 float* dx, float* dz, float* dshare) {
  ForLanes(n, BetweenBackOf{dy, x, z, share, dx, dz, dshare});
}

// to += (scale a) b; a and b are rows of the head.
struct AddScaledProductOf {
  float scale;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b, V to) const {
    return hn::MulAdd(hn::Mul(hn::Set(d, scale), a), b, to);
  }
};

struct AddScaledOf {
  float scale;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V to) const {
    return hn::MulAdd(hn::Set(d, scale), a, to);
  }
};

struct AddOf {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V to) const {
    return hn::Add(to, a);
  }
};

void BonusBack(const BonusRows& in, size_t n, const BonusGradients& to) {
  const float s = SumOver(AddProduct(), 0.0f, n, in.r, in.k, in.u);
  const float ds = SumOver(AddProduct(), 0.0f, n, in.g, in.v);
  const AddScaledProductOf product{ds};
  if (to.y != nullptr) MapRow(in.g, to.y, n, to.y, AddOf());
  if (to.v != nullptr) MapRow(in.g, to.v, n, to.v, AddScaledOf{s});
  if (to.r != nullptr) MapRow(in.k, in.u, to.r, n, to.r, product);
  if (to.k != nullptr) MapRow(in.r, in.u, to.k, n, to.k, product);
  if (to.u != nullptr) MapRow(in.r, in.k, to.u, n, to.u, product);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(NormBack);
HWY_EXPORT(NormalizeBack);
HWY_EXPORT(BonusBack);
HWY_EXPORT(Wkv7KeysBack);
HWY_EXPORT(BetweenBack);

void NormBackRow(const float* x, const float* dy, size_t n, size_t groups, const float* gain,
                 float eps, float* dx, Moments* moments) noexcept {
  HWY_DYNAMIC_DISPATCH(NormBack)(x, dy, n, groups, gain, eps, dx, moments);
}
void NormalizeBackRow(const float* x, const float* y, const float* dy, size_t n,
                      float* dx) noexcept {
  HWY_DYNAMIC_DISPATCH(NormalizeBack)(x, y, dy, n, dx);
}
void BonusBackRow(const BonusRows& in, size_t n, const BonusGradients& to) noexcept {
  HWY_DYNAMIC_DISPATCH(BonusBack)(in, n, to);
}
void Wkv7KeysBackRow(const Wkv7KeyRows& in, size_t n, const Wkv7KeyGradients& to) noexcept {
  HWY_DYNAMIC_DISPATCH(Wkv7KeysBack)(in, n, to);
}
void InterpolateBackRow(const float* dy, const float* x, const float* z, const float* share,
                        size_t n, float* dx, float* dz, float* dshare) noexcept {
  HWY_DYNAMIC_DISPATCH(BetweenBack)(dy, x, z, share, n, dx, dz, dshare);
}

}  // namespace linnet
#endif  // HWY_ONCE
