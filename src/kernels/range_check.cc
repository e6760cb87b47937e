#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/range_check.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <bit>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/range_check.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// As integers, the bits of magnitudes sort like the values, infinities and NaN above all: `most`
// minus such a value is negative.
bool Within(const float* x, size_t n, float most) {
  constexpr int32_t kMagnitude = 0x7fffffff;
  const hn::ScalableTag<int32_t> d;
  const hn::Rebind<float, decltype(d)> df;
  const size_t lanes = hn::Lanes(d);
  const auto bits = std::bit_cast<int32_t>(most);
  const auto limit = hn::Set(d, bits), magnitude = hn::Set(d, kMagnitude);
  const auto left = [&](size_t i) HWY_ATTR {
    return hn::Sub(limit, hn::And(hn::BitCast(d, hn::LoadU(df, x + i)), magnitude));
  };
  auto even = hn::Zero(d), odd = hn::Zero(d);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even = hn::Or(even, left(i));
    odd = hn::Or(odd, left(i + lanes));
  }
  int32_t rest = 0;
  for (; i < n; ++i) rest |= bits - (std::bit_cast<int32_t>(x[i]) & kMagnitude);
  return rest >= 0 && hn::AllFalse(d, hn::Lt(hn::Or(even, odd), hn::Zero(d)));
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Within);

bool AllMagnitudesWithin(const float* x, size_t n, float most) noexcept {
  return HWY_DYNAMIC_DISPATCH(Within)(x, n, most);
}

}  // namespace linnet
#endif  // HWY_ONCE
