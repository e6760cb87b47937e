#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cross_entropy.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cmath>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/cross_entropy.h"
#include "kernels/halves-inl.h"
#include "kernels/rows.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
constexpr size_t kLanes = hn::MaxLanes(D());
constexpr size_t kSums = 32;  // interleaved partial sums, at any vector length

// exp(x) within 3e-7 for x <= 0, and 0 below -87; NaN stays NaN. Cheaper than hn::Exp, which
// dominates the cost of a softmax over a vocabulary.
HWY_INLINE hn::Vec<D> ExpOfNegative(hn::Vec<D> x) {
  const D d;
  const hn::RebindToSigned<D> di;
  const auto tiny = hn::Lt(x, hn::Set(d, -87.0f));
  const auto bounded = hn::IfThenElse(tiny, hn::Set(d, -87.0f), x);
  // x = n log 2 + r, |r| <= log(2) / 2; adding 1.5 2^23 rounds to an integer.
  const auto magic = hn::Set(d, 12582912.0f);
  const auto shifted = hn::MulAdd(bounded, hn::Set(d, 1.44269504f), magic);
  const auto n = hn::Sub(shifted, magic);
  auto r = hn::MulAdd(n, hn::Set(d, -0.693359375f), bounded);
  r = hn::MulAdd(n, hn::Set(d, 2.12194440e-4f), r);
  // Cephes' expf: 1 + r + r² (1/2 + …).
  auto p = hn::Set(d, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::MulAdd(p, hn::Mul(r, r), hn::Add(r, hn::Set(d, 1.0f)));
  const auto scaled = hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
  const auto result = hn::IfThenZeroElse(tiny, hn::BitCast(d, scaled));
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

// A vector of x from i on; `pad` beyond n.
HWY_INLINE hn::Vec<D> LoadOr(const float* x, size_t i, size_t n, float pad) {
  const D d;
  if (i + kLanes <= n) return hn::LoadU(d, x + i);
  HWY_ALIGN float lanes[kLanes];
  std::fill_n(lanes, kLanes, pad);
  if (i < n) std::memcpy(lanes, x + i, (n - i) * sizeof(float));
  return hn::Load(d, lanes);
}

// The sum of exp(x - top), x <= top, in an order that depends on n alone.
float SumExp(const float* x, size_t n, float top) {
  const D d;
  constexpr size_t kVectors = kSums / kLanes;
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  const auto shift = hn::Set(d, top);
  hn::Vec<D> sum[kVectors];
  HWY_UNROLL(8)
  for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  for (size_t i = 0; i < n; i += kSums) {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      const auto value = LoadOr(x, i + v * kLanes, n, kNothing);
      sum[v] = hn::Add(sum[v], ExpOfNegative(hn::Sub(value, shift)));
    }
  }
  HWY_ALIGN float sums[kSums];
  for (size_t v = 0; v < kVectors; ++v) hn::Store(sum[v], d, sums + v * kLanes);
  for (size_t width = kSums / 2; width > 0; width /= 2) {
    for (size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

void Gradient(const float* x, size_t n, float log_sum, float scale, Activation form,
              std::byte* to) {
  const D d;
  const hn::RebindToUnsigned<D> du;
  const auto shift = hn::Set(d, log_sum), factor = hn::Set(d, scale);
  HWY_ALIGN float lanes[kLanes];
  HWY_ALIGN uint16_t halves[kLanes];
  for (size_t i = 0; i < n; i += kLanes) {
    const size_t count = std::min(kLanes, n - i);
    const auto value = hn::Sub(LoadOr(x, i, n, 0.0f), shift);
    // A remainder above 0 is only rounding.
    const auto y = hn::Mul(factor, ExpOfNegative(value));
    if (form == Activation::kF32) {
      float* out = reinterpret_cast<float*>(to) + i;
      if (count == kLanes) {
        hn::StoreU(y, d, out);
      } else {
        hn::Store(y, d, lanes);
        std::memcpy(out, lanes, count * sizeof(float));
      }
    } else {
      auto* out = reinterpret_cast<uint16_t*>(to) + i;
      const auto rounded = hn::ShiftRight<16>(BF16InHigh(d, y));
      StoreHalves(du, rounded, count == kLanes ? out : halves);
      if (count < kLanes) std::memcpy(out, halves, count * sizeof(uint16_t));
    }
  }
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(SumExp);
HWY_EXPORT(Gradient);

double SoftmaxSum::Log() const { return top + std::log(sum); }

void SoftmaxSum::Add(const SoftmaxSum& other) {
  if (other.top > top) {
    sum = sum * std::exp(static_cast<double>(top) - other.top) + other.sum;
    top = other.top;
    top_column = other.top_column;
  } else {
    sum += other.sum * std::exp(static_cast<double>(other.top) - top);
  }
}

void AddLogits(const float* logits, size_t n, size_t column, SoftmaxSum& sum) noexcept {
  const float top = MaxRow(logits, n);
  if (top > sum.top) {
    sum.sum *= std::exp(static_cast<double>(sum.top) - top);
    sum.top = top;
    sum.top_column = column + ArgMaxRow(logits, n);
  }
  sum.sum += HWY_DYNAMIC_DISPATCH(SumExp)(logits, n, sum.top);
}

void SoftmaxGradient(const float* x, size_t n, float log_sum, float scale, Activation form,
                     std::byte* to) noexcept {
  HWY_DYNAMIC_DISPATCH(Gradient)(x, n, log_sum, scale, form, to);
}

}  // namespace linnet
#endif  // HWY_ONCE
