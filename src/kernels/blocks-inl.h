// Blocks of int8 and nf4 (blocks.h) from f32 and back.
#if defined(LINNET_KERNELS_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_BLOCKS_INL_H_
#undef LINNET_KERNELS_BLOCKS_INL_H_
#else
#define LINNET_KERNELS_BLOCKS_INL_H_
#endif

#include <limits>

#include "hwy/highway.h"
#include "kernels/blocks.h"
#include "kernels/halves-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using BlockD = hn::ScalableTag<float>;
using BlockDU = hn::RebindToUnsigned<BlockD>;
using BlockDI = hn::RebindToSigned<BlockD>;

template <DType kFormat>
HWY_INLINE uint16_t* ScalesOf(std::byte* block) {
  return reinterpret_cast<uint16_t*>(block + BlockWeightBytes(kFormat));
}
template <DType kFormat>
HWY_INLINE const uint16_t* ScalesOf(const std::byte* block) {
  return reinterpret_cast<const uint16_t*>(block + BlockWeightBytes(kFormat));
}

// The code of the finite weight `x`. `inverse` maps the block's scale to 127 (int8) or 1 (nf4);
// since the scale is rounded, x * inverse may slightly exceed that.
template <DType kFormat>
HWY_INLINE hn::Vec<BlockDU> Code(hn::Vec<BlockD> x, hn::Vec<BlockD> inverse) {
  const BlockD d;
  const BlockDU du;
  const BlockDI di;
  const auto scaled = hn::Mul(x, inverse);
  if constexpr (kFormat == DType::kI8) {
    const auto clamped = hn::Min(hn::Max(scaled, hn::Set(d, -127.0f)), hn::Set(d, 127.0f));
    return hn::BitCast(du, hn::Add(hn::NearestInt(clamped), hn::Set(di, 128)));
  } else {
    auto code = hn::Zero(du);
    for (size_t i = 0; i < 15; ++i) {
      const auto above = hn::Gt(scaled, hn::Set(d, (kNF4[i] + kNF4[i + 1]) / 2));
      // A true mask is all ones: minus one.
      code = hn::Sub(code, hn::BitCast(du, hn::VecFromMask(d, above)));
    }
    return code;
  }
}

// Encodes [64][64] of f32, inputs by outputs. A weight too large for f16 gives its 64 weights an
// infinite scale, so they decode to NaN.
template <DType kFormat>
void EncodeBlock(const float* values, std::byte* block) {
  const BlockD d;
  const BlockDU du;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kCodes = kFormat == DType::kI8 ? 4 : 8;  // in a lane
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const auto most = hn::Set(d, std::numeric_limits<float>::max());
  for (size_t n = 0; n < kPanelRows; n += kLanes, values += kLanes) {
    auto largest = hn::Zero(d);
    for (size_t k = 0; k < kBlockInputs; ++k) {
      const auto size = hn::Abs(hn::Load(d, values + k * kPanelRows));
      largest = hn::Max(largest, hn::IfThenElse(hn::Le(size, most), size, infinity));
    }
    StoreHalves(du, F16InLow(d, largest), ScalesOf<kFormat>(block) + n);
    const auto scale = LoadF16(d, ScalesOf<kFormat>(block) + n);
    const auto one = hn::Set(d, kFormat == DType::kI8 ? 127.0f : 1.0f);
    const auto inverse = hn::IfThenElseZero(hn::Gt(scale, hn::Zero(d)), hn::Div(one, scale));
    auto* out = reinterpret_cast<uint32_t*>(block) + n;
    for (size_t k = 0; k < kBlockInputs; k += kCodes, out += kPanelRows) {
      auto lane = hn::Zero(du);
      for (size_t i = 0; i < kCodes; ++i) {
        const auto x = hn::Load(d, values + (k + i) * kPanelRows);
        const auto finite = hn::IfThenElseZero(hn::Le(hn::Abs(x), most), x);
        const size_t shift = kCodes == 4 ? 8 * i : 8 * (i % 4) + 4 * (i / 4);
        const auto code = Code<kFormat>(finite, inverse);
        lane = hn::Or(lane, hn::ShiftLeftSame(code, static_cast<int>(shift)));
      }
      hn::StoreU(lane, du, out);
    }
  }
}

// The weights of a quad before scaling; each lane holds its byte or code in the low bits.
template <DType kFormat>
HWY_INLINE hn::Vec<BlockD> Decoded(hn::Vec<BlockDU> code) {
  const BlockD d;
  const BlockDI di;
  if constexpr (kFormat == DType::kI8) {
    return hn::ConvertTo(d, hn::Sub(hn::BitCast(di, code), hn::Set(di, 128)));
  } else if constexpr (hn::MaxLanes(d) == 16) {
    return hn::TableLookupLanes(hn::LoadU(d, kNF4), hn::IndicesFromVec(d, code));
  } else {
    return hn::GatherIndex(d, kNF4, hn::BitCast(di, code));
  }
}

// Decodes to [64][64] of f32, inputs by outputs.
template <DType kFormat>
void DecodeBlock(const std::byte* block, float* values) {
  const BlockD d;
  const BlockDU du;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr bool kBytes = kFormat == DType::kI8;
  constexpr size_t kCodes = kBytes ? 4 : 8;  // in a lane
  for (size_t n = 0; n < kPanelRows; n += kLanes, values += kLanes) {
    auto scale = LoadF16(d, ScalesOf<kFormat>(block) + n);
    if constexpr (kBytes) scale = hn::Mul(scale, hn::Set(d, 1.0f / 127));
    const auto* lanes = reinterpret_cast<const uint32_t*>(block) + n;
    for (size_t k = 0; k < kBlockInputs; k += kCodes, lanes += kPanelRows) {
      const auto lane = hn::LoadU(du, lanes);
      for (size_t i = 0; i < kCodes; ++i) {
        const size_t shift = kBytes ? 8 * i : 8 * (i % 4) + 4 * (i / 4);
        const auto code = hn::And(hn::ShiftRightSame(lane, static_cast<int>(shift)),
                                  hn::Set(du, kBytes ? 255u : 15u));
        hn::Store(hn::Mul(Decoded<kFormat>(code), scale), d, values + (k + i) * kPanelRows);
      }
    }
  }
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_BLOCKS_INL_H_
