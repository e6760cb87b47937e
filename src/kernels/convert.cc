#include "kernels/convert.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/convert.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include "hwy/highway.h"
#include "kernels/halves-inl.h"
#include "tensor/half.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

void FromF16(const uint16_t* x, size_t n, float* y) {
  const hn::ScalableTag<float> d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) hn::StoreU(LoadF16(d, x + i), d, y + i);
  for (; i < n; ++i) y[i] = F16ToF32(x[i]);
}

void FromBF16(const uint16_t* x, size_t n, float* y) {
  const hn::ScalableTag<float> d;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) hn::StoreU(LoadBF16(d, x + i), d, y + i);
  for (; i < n; ++i) y[i] = BF16ToF32(x[i]);
}

void ToF16(const float* x, size_t n, uint16_t* y) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    StoreHalves(du, F16InLow(d, hn::LoadU(d, x + i)), y + i);
  }
  for (; i < n; ++i) y[i] = F32ToF16(x[i]);
}

void ToBF16(const float* x, size_t n, uint16_t* y) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::Repartition<uint16_t, decltype(d)> dh;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto low = hn::BitCast(dh, BF16InHigh(d, hn::LoadU(d, x + i)));
    const auto high = hn::BitCast(dh, BF16InHigh(d, hn::LoadU(d, x + i + lanes)));
    hn::StoreU(hn::ConcatOdd(dh, high, low), dh, y + i);
  }
#endif
  for (; i + lanes <= n; i += lanes) {
    StoreHalves(du, hn::ShiftRight<16>(BF16InHigh(d, hn::LoadU(d, x + i))), y + i);
  }
  for (; i < n; ++i) y[i] = F32ToBF16(x[i]);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(FromF16);
HWY_EXPORT(FromBF16);
HWY_EXPORT(ToF16);
HWY_EXPORT(ToBF16);

void F16ToF32Row(const uint16_t* x, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(FromF16)(x, n, y);
}
void BF16ToF32Row(const uint16_t* x, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(FromBF16)(x, n, y);
}
void F32ToF16Row(const float* x, size_t n, uint16_t* y) noexcept {
  HWY_DYNAMIC_DISPATCH(ToF16)(x, n, y);
}
void F32ToBF16Row(const float* x, size_t n, uint16_t* y) noexcept {
  HWY_DYNAMIC_DISPATCH(ToBF16)(x, n, y);
}

}  // namespace linnet
#endif  // HWY_ONCE
