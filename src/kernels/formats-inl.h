// PanelReader: decodes a panel of each format to f32 lanes. A new format needs a new reader.
#if defined(LINNET_KERNELS_FORMATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_FORMATS_INL_H_
#undef LINNET_KERNELS_FORMATS_INL_H_
#else
#define LINNET_KERNELS_FORMATS_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/halves-inl.h"
#include "tensor/weight.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A panel is a sequence of steps; a step holds kInputs inputs of all 64 outputs in kStepBytes. Load
// gives the s-th input of a step for a vector of outputs.
template <DType kFormat>
struct PanelReader;

template <>
struct PanelReader<DType::kF32> {  // [K][64]
  static constexpr size_t kInputs = 1, kStepBytes = kPanelRows * 4;
  template <size_t kInput, class D>
  static HWY_INLINE hn::Vec<D> Load(D d, const std::byte* step, size_t output) {
    return hn::LoadU(d, reinterpret_cast<const float*>(step) + output);
  }
};

template <>
struct PanelReader<DType::kF16> {  // [K][64]
  static constexpr size_t kInputs = 1, kStepBytes = kPanelRows * 2;
  template <size_t kInput, class D>
  static HWY_INLINE hn::Vec<D> Load(D d, const std::byte* step, size_t output) {
    return LoadF16(d, reinterpret_cast<const uint16_t*>(step) + output);
  }
};

template <>
struct PanelReader<DType::kBF16> {  // [ceil(K / 2)][64][2]: a pair is one u32 lane
  static constexpr size_t kInputs = 2, kStepBytes = kPanelRows * 4;
  template <size_t kInput, class D>
  static HWY_INLINE hn::Vec<D> Load(D d, const std::byte* step, size_t output) {
    const hn::RebindToUnsigned<D> du;
    const auto pair = hn::LoadU(du, reinterpret_cast<const uint32_t*>(step) + output);
    if constexpr (kInput == 0) return hn::BitCast(d, hn::ShiftLeft<16>(pair));
    return hn::BitCast(d, hn::And(pair, hn::Set(du, 0xffff0000u)));
  }
};

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_FORMATS_INL_H_
