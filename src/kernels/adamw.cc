#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/adamw.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cmath>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/adamw.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr size_t kLanes = hn::MaxLanes(D());

// The constants of a step, each rounded once.
struct Factors {
  float decay, one_minus_beta1, one_minus_beta2, grad_scale, eps, root_correction2, rate;

  explicit Factors(const AdamWStep& s)
      : decay(static_cast<float>(s.lr * s.weight_decay)),
        one_minus_beta1(static_cast<float>(1.0 - s.beta1)),
        one_minus_beta2(static_cast<float>(1.0 - s.beta2)),
        grad_scale(static_cast<float>(s.grad_scale)),
        eps(static_cast<float>(s.eps)),
        root_correction2(static_cast<float>(std::sqrt(s.correction2))),
        rate(static_cast<float>(s.lr / s.correction1)) {}
};

HWY_INLINE void Update(const Factors& f, V& w, V g, V& m, V& v) {
  const D d;
  const V scaled = hn::Mul(g, hn::Set(d, f.grad_scale));
  m = hn::MulAdd(hn::Sub(scaled, m), hn::Set(d, f.one_minus_beta1), m);
  const V square = hn::Mul(scaled, scaled);
  v = hn::MulAdd(hn::Sub(square, v), hn::Set(d, f.one_minus_beta2), v);
  // sqrt(v / c) as sqrt(v) / sqrt(c): v is a square, so v / c would underflow first.
  const V root = hn::Div(hn::Sqrt(v), hn::Set(d, f.root_correction2));
  const V denominator = hn::Add(root, hn::Set(d, f.eps));
  const V step = hn::Div(m, denominator);
  // 0 / 0 gives no step; any other NaN stays visible.
  const auto nothing = hn::And(hn::Eq(m, hn::Zero(d)), hn::Eq(denominator, hn::Zero(d)));
  // Rounding 1 - decay would lose most of a small decay.
  w = hn::NegMulAdd(w, hn::Set(d, f.decay), w);
  w = hn::NegMulAdd(hn::IfThenZeroElse(nothing, step), hn::Set(d, f.rate), w);
}

void Step(float* w, const float* g, float* m, float* v, size_t n, const AdamWStep& step) {
  const D d;
  const Factors factors(step);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    V weight = hn::LoadU(d, w + i), first = hn::LoadU(d, m + i), second = hn::LoadU(d, v + i);
    Update(factors, weight, hn::LoadU(d, g + i), first, second);
    hn::StoreU(weight, d, w + i);
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
  }
  if (i == n) return;
  const size_t bytes = (n - i) * sizeof(float);
  HWY_ALIGN float rest[4][kLanes] = {};
  std::memcpy(rest[0], w + i, bytes);
  std::memcpy(rest[1], g + i, bytes);
  std::memcpy(rest[2], m + i, bytes);
  std::memcpy(rest[3], v + i, bytes);
  V weight = hn::Load(d, rest[0]), first = hn::Load(d, rest[2]), second = hn::Load(d, rest[3]);
  Update(factors, weight, hn::Load(d, rest[1]), first, second);
  hn::Store(weight, d, rest[0]);
  hn::Store(first, d, rest[2]);
  hn::Store(second, d, rest[3]);
  std::memcpy(w + i, rest[0], bytes);
  std::memcpy(m + i, rest[2], bytes);
  std::memcpy(v + i, rest[3], bytes);
}

constexpr size_t kBlock = 4096;
constexpr size_t kSums = 16;  // interleaved partial sums, at any vector length

// Value i goes to sum i % 16; the sums are added by halves.
double SquaresOf(const float* x, size_t n) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  constexpr size_t kEach = hn::MaxLanes(dd), kVectors = kSums / kEach;
  hn::Vec<decltype(dd)> sum[kVectors];
  HWY_UNROLL(8)
  for (size_t k = 0; k < kVectors; ++k) sum[k] = hn::Zero(dd);
  HWY_ALIGN float rest[kSums] = {};
  for (size_t i = 0; i < n; i += kSums) {
    const float* from = x + i;
    if (i + kSums > n) {
      std::memcpy(rest, from, (n - i) * sizeof(float));
      from = rest;
    }
    HWY_UNROLL(8)
    for (size_t k = 0; k < kVectors; ++k) {
      const auto value = hn::PromoteTo(dd, hn::LoadU(df, from + k * kEach));
      sum[k] =
          hn::MulAdd(value, value, sum[k]);  // exact products: one rounding with or without FMA
    }
  }
  HWY_ALIGN double sums[kSums];
  for (size_t k = 0; k < kVectors; ++k) hn::Store(sum[k], dd, sums + k * kEach);
  for (size_t width = kSums / 2; width > 0; width /= 2) {
    for (size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

// Blocks [begin, end), added in halves.
double Squares(const float* x, size_t n, size_t begin, size_t end) {
  if (end - begin <= 1) {
    return SquaresOf(x + begin * kBlock, std::min(kBlock, n - begin * kBlock));
  }
  const size_t middle = (begin + end) / 2;
  return Squares(x, n, begin, middle) + Squares(x, n, middle, end);
}

double SquaresOfAll(const float* x, size_t n) {
  return n == 0 ? 0 : Squares(x, n, 0, (n + kBlock - 1) / kBlock);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Step);
HWY_EXPORT(SquaresOfAll);

void AdamWRow(float* w, const float* g, float* m, float* v, size_t n,
              const AdamWStep& step) noexcept {
  HWY_DYNAMIC_DISPATCH(Step)(w, g, m, v, n, step);
}

double SumOfSquares(const float* x, size_t n) noexcept {
  return HWY_DYNAMIC_DISPATCH(SquaresOfAll)(x, n);
}

}  // namespace linnet
#endif  // HWY_ONCE
