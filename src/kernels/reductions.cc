#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reductions.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cmath>
#include <limits>

#include "hwy/highway.h"
#include "kernels/map-inl.h"
#include "kernels/math-inl.h"
#include "kernels/rows.h"
#include "kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

struct AddExp {
  float top;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V sum, V x) const {
    return hn::Add(sum, ExpOf(d, hn::Sub(x, hn::Set(d, top))));
  }
};

struct Larger {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V top, V x) const {
    return hn::IfThenElse(hn::Gt(x, top), x, top);
  }
};

float Sum(const float* x, size_t n) { return SumOver(AddValue(), 0.0f, n, x); }
float Dot2(const float* a, const float* b, size_t n) {
  return SumOver(AddProduct(), 0.0f, n, a, b);
}
float DotOf3(const float* a, const float* b, const float* c, size_t n) {
  return SumOver(AddProduct(), 0.0f, n, a, b, c);
}
float SumSquares(const float* x, size_t n, float center) {
  return SumOver(AddSquare{center}, center, n, x);
}

float Max(const float* x, size_t n) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> top = hn::Set(d, kLowest);
  for (size_t i = 0; i < n; i += hn::Lanes(d))
    top = Larger()(d, top, LoadUpTo(d, x, i, n, kLowest));
  return hn::GetLane(hn::MaxOfLanes(d, top));
}

// In double over blocks: one f32 sum of 65536 terms would lose digits that losses are compared to.
double SumExp(const float* x, size_t n, float top) {
  constexpr size_t kBlock = 4096;
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  double sum = 0;
  for (size_t i = 0; i < n; i += kBlock) {
    sum += SumOver(AddExp{top}, kNothing, std::min(kBlock, n - i), x + i);
  }
  return sum;
}

struct CenterAndScale {
  float mean, scale;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V gain, V bias) const {
    const V unit = hn::Mul(hn::Sub(x, hn::Set(d, mean)), hn::Set(d, scale));
    return hn::MulAdd(unit, gain, bias);
  }
};

struct ScaleBy {
  float c;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Mul(x, hn::Set(d, c));
  }
};

struct ExpScaled {
  float top, scale;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Mul(ExpOf(d, hn::Sub(x, hn::Set(d, top))), hn::Set(d, scale));
  }
};

void Norm(const float* x, size_t n, size_t groups, const float* gain, const float* bias, float eps,
          float* y) {
  const size_t size = n / groups;
  const float count = static_cast<float>(size);
  for (size_t at = 0; at < n; at += size) {
    const float mean = Sum(x + at, size) / count;
    const float variance = SumSquares(x + at, size, mean) / count;
    const CenterAndScale map{mean, 1.0f / std::sqrt(variance + eps)};
    MapRow(x + at, gain + at, bias + at, size, y + at, map);
  }
}

void Normalize(const float* x, size_t n, size_t groups, float* y) {
  const size_t size = n / groups;
  for (size_t at = 0; at < n; at += size) {
    const float length = std::sqrt(Dot2(x + at, x + at, size));
    MapRow(x + at, size, y + at, ScaleBy{1.0f / std::max(length, 1e-12f)});
  }
}

void Softmax(const float* x, size_t n, float* y) {
  const float top = Max(x, n);
  MapRow(x, n, y, ExpScaled{top, static_cast<float>(1.0 / SumExp(x, n, top))});
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Sum);
HWY_EXPORT(Dot2);
HWY_EXPORT(DotOf3);
HWY_EXPORT(SumSquares);
HWY_EXPORT(Max);
HWY_EXPORT(SumExp);
HWY_EXPORT(Norm);
HWY_EXPORT(Normalize);
HWY_EXPORT(Softmax);

float SumRow(const float* x, size_t n) noexcept { return HWY_DYNAMIC_DISPATCH(Sum)(x, n); }
float Dot(const float* a, const float* b, size_t n) noexcept {
  return HWY_DYNAMIC_DISPATCH(Dot2)(a, b, n);
}
float Dot3(const float* a, const float* b, const float* c, size_t n) noexcept {
  return HWY_DYNAMIC_DISPATCH(DotOf3)(a, b, c, n);
}
float SumSquaresRow(const float* x, size_t n, float center) noexcept {
  return HWY_DYNAMIC_DISPATCH(SumSquares)(x, n, center);
}
float MaxRow(const float* x, size_t n) noexcept { return HWY_DYNAMIC_DISPATCH(Max)(x, n); }

size_t ArgMaxRow(const float* x, size_t n) noexcept {
  const float* found = std::find(x, x + n, MaxRow(x, n));
  return found == x + n ? 0 : static_cast<size_t>(found - x);
}

double LogSumExpRow(const float* x, size_t n) noexcept {
  const float top = MaxRow(x, n);
  return top + std::log(HWY_DYNAMIC_DISPATCH(SumExp)(x, n, top));
}

void NormRow(const float* x, size_t n, size_t groups, const float* gain, const float* bias,
             float eps, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(Norm)(x, n, groups, gain, bias, eps, y);
}
void NormalizeRow(const float* x, size_t n, size_t groups, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(Normalize)(x, n, groups, y);
}
void SoftmaxRow(const float* x, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(Softmax)(x, n, y);
}

}  // namespace linnet
#endif  // HWY_ONCE
