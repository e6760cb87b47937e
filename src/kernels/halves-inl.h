// The 16-bit floats in vectors: bits in the low halves of u32 lanes, to f32 and back.
#if defined(LINNET_KERNELS_HALVES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_HALVES_INL_H_
#undef LINNET_KERNELS_HALVES_INL_H_
#else
#define LINNET_KERNELS_HALVES_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Whether the target converts f16 in hardware; Highway's emulation differs from half.h.
inline constexpr bool kHasF16 =
    HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON;

// Lanes(d) values as half.h converts them.
template <class D>
HWY_INLINE hn::Vec<D> LoadF16(D d, const uint16_t* x) {
  if constexpr (kHasF16) {
    const hn::Rebind<hwy::float16_t, D> d16;
    return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(x)));
  } else {
    const hn::RebindToUnsigned<D> du;
    const auto half = hn::PromoteTo(du, hn::LoadU(hn::Rebind<uint16_t, D>(), x));
    const auto sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(du, 0x8000u)));
    const auto magnitude = hn::And(half, hn::Set(du, 0x7fffu));
    // The exponent is off by 112; a multiplication corrects it, also for subnormals.
    const auto scaled = hn::Mul(hn::BitCast(d, hn::ShiftLeft<13>(magnitude)), hn::Set(d, 0x1p112f));
    const auto special = hn::Gt(magnitude, hn::Set(du, 0x7bffu));  // infinity, NaN
    const auto bits =
        hn::Or(hn::BitCast(du, scaled), hn::IfThenElseZero(special, hn::Set(du, 0x7f800000u)));
    return hn::BitCast(d, hn::Or(bits, sign));
  }
}

template <class D>
HWY_INLINE hn::Vec<D> LoadBF16(D d, const uint16_t* x) {
  const hn::RebindToUnsigned<D> du;
  const auto half = hn::PromoteTo(du, hn::LoadU(hn::Rebind<uint16_t, D>(), x));
  return hn::BitCast(d, hn::ShiftLeft<16>(half));
}

// The bits of F32ToBF16 in the high halves of the lanes; the low halves are unspecified.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> BF16InHigh(D d, hn::Vec<D> x) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fffu)));
  const auto nan = hn::RebindMask(du, hn::IsNaN(x));
  (void)d;
  return hn::IfThenElse(nan, hn::Or(bits, hn::Set(du, 0x400000u)), rounded);
}

// The bits of F32ToF16 in the low halves of the lanes.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> F16InLow(D d, hn::Vec<D> x) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, x);
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000u));
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffffu));
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1u));
  auto result = hn::ShiftRight<13>(
      hn::Add(magnitude, hn::Sub(hn::Add(odd, hn::Set(du, 0xfffu)), hn::Set(du, 112u << 23))));
  // Subnormal: adding 0.5 aligns the mantissa and rounds it in hardware.
  const auto shifted = hn::Add(hn::BitCast(d, magnitude), hn::Set(d, 0.5f));
  result = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 0x38800000u)),
                          hn::Sub(hn::BitCast(du, shifted), hn::Set(du, 0x3f000000u)), result);
  result =
      hn::IfThenElse(hn::Gt(magnitude, hn::Set(du, 0x477fefffu)), hn::Set(du, 0x7c00u), result);
  result =
      hn::IfThenElse(hn::Gt(magnitude, hn::Set(du, 0x7f800000u)), hn::Set(du, 0x7e00u), result);
  return hn::Or(sign, result);
}

// Stores the low halves of the lanes.
template <class DU>
HWY_INLINE void StoreHalves(DU du, hn::Vec<DU> x, uint16_t* y) {
  const hn::Rebind<uint16_t, DU> d16;
  // Through the signed type: only that one narrows without a range check.
  const hn::RebindToSigned<DU> di;
  const auto extended = hn::ShiftRight<16>(hn::BitCast(di, hn::ShiftLeft<16>(x)));
  (void)du;
  hn::StoreU(hn::BitCast(d16, hn::DemoteTo(hn::Rebind<int16_t, DU>(), extended)), d16, y);
}

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_HALVES_INL_H_
