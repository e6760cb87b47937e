#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pack.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/blocks-inl.h"
#include "kernels/formats-inl.h"
#include "kernels/map-inl.h"
#include "kernels/matmul.h"
#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
constexpr size_t kLanes = hn::MaxLanes(D());
constexpr size_t kBlock = kTransposed;

// [k][64] of f32 to the steps of the format; an odd last input is paired with zero.
void Encode(DType dtype, const float* block, size_t inputs, std::byte* panel) {
  const D d;
  const hn::RebindToUnsigned<D> du;
  if (dtype == DType::kF32) {
    std::memcpy(panel, block, inputs * kPanelRows * sizeof(float));
  } else if (dtype == DType::kF16) {
    auto* out = reinterpret_cast<uint16_t*>(panel);
    for (size_t i = 0; i < inputs * kPanelRows; i += kLanes) {
      StoreHalves(du, F16InLow(d, hn::Load(d, block + i)), out + i);
    }
  } else {
    auto* out = reinterpret_cast<uint32_t*>(panel);
    for (size_t k = 0; k < inputs; k += 2, block += 2 * kPanelRows, out += kPanelRows) {
      for (size_t i = 0; i < kPanelRows; i += kLanes) {
        const auto even = BF16InHigh(d, hn::Load(d, block + i));
        auto pair = hn::ShiftRight<16>(even);
        if (k + 1 < inputs) {
          const auto odd = BF16InHigh(d, hn::Load(d, block + kPanelRows + i));
          pair = hn::Or(pair, hn::And(odd, hn::Set(du, 0xffff0000u)));
        }
        hn::StoreU(pair, du, out + i);
      }
    }
  }
}

template <DType kFormat>
void PackBlocks(const float* source, size_t stride, size_t rows, size_t cols, std::byte* panel) {
  HWY_ALIGN float block[kBlockInputs * kPanelRows];
  for (size_t k = 0; k < cols; k += kBlockInputs, panel += BlockBytes(kFormat)) {
    for (size_t i = 0; i < kBlockInputs; i += kTransposed) {
      const size_t inputs = k + i < cols ? std::min(kTransposed, cols - k - i) : 0;
      TransposePartial(source + std::min(k + i, cols), stride, rows, inputs,
                       block + i * kPanelRows);
    }
    EncodeBlock<kFormat>(block, panel);
  }
}

void Pack(DType dtype, const float* source, size_t stride, size_t rows, size_t cols,
          std::byte* panel) {
  if (dtype == DType::kI8) return PackBlocks<DType::kI8>(source, stride, rows, cols, panel);
  if (dtype == DType::kNF4) return PackBlocks<DType::kNF4>(source, stride, rows, cols, panel);
  HWY_ALIGN float block[kBlock * kPanelRows];
  for (size_t k = 0; k < cols; k += kBlock, panel += PanelBytes(dtype, kBlock)) {
    const size_t inputs = std::min(kBlock, cols - k);
    TransposePartial(source + k, stride, rows, inputs, block);
    Encode(dtype, block, inputs, panel);
  }
}

// One step of a panel as [kInputs][64] of f32.
template <DType kFormat>
HWY_INLINE void Decode(const std::byte* step, float* out) {
  using Reader = PanelReader<kFormat>;
  const D d;
  for (size_t i = 0; i < kPanelRows; i += kLanes) {
    hn::Store(Reader::template Load<0>(d, step, i), d, out + i);
    if constexpr (Reader::kInputs == 2) {
      hn::Store(Reader::template Load<1>(d, step, i), d, out + kPanelRows + i);
    }
  }
}

template <DType kFormat>
void UnpackOf(const std::byte* panel, size_t rows, size_t cols, float* out, size_t stride) {
  using Reader = PanelReader<kFormat>;
  HWY_ALIGN float block[kBlock * kPanelRows];
  for (size_t k = 0; k < cols; k += kBlock) {
    const size_t inputs = std::min(kBlock, cols - k);
    for (size_t i = 0; i < inputs; i += Reader::kInputs, panel += Reader::kStepBytes) {
      Decode<kFormat>(panel, block + i * kPanelRows);
    }
    for (size_t row = 0; row < rows; ++row) {
      float* to = out + row * stride + k;
      for (size_t i = 0; i < inputs; ++i) to[i] = block[i * kPanelRows + row];
    }
  }
}

template <DType kFormat>
void UnpackBlocks(const std::byte* panel, size_t rows, size_t cols, float* out, size_t stride) {
  HWY_ALIGN float block[kBlockInputs * kPanelRows];
  for (size_t k = 0; k < cols; k += kBlockInputs, panel += BlockBytes(kFormat)) {
    DecodeBlock<kFormat>(panel, block);
    const size_t inputs = std::min(kBlockInputs, cols - k);
    for (size_t row = 0; row < rows; ++row) {
      float* to = out + row * stride + k;
      for (size_t i = 0; i < inputs; ++i) to[i] = block[i * kPanelRows + row];
    }
  }
}

void Unpack(DType dtype, const std::byte* panel, size_t rows, size_t cols, float* out,
            size_t stride) {
  if (dtype == DType::kI8) return UnpackBlocks<DType::kI8>(panel, rows, cols, out, stride);
  if (dtype == DType::kNF4) return UnpackBlocks<DType::kNF4>(panel, rows, cols, out, stride);
  if (dtype == DType::kF16) return UnpackOf<DType::kF16>(panel, rows, cols, out, stride);
  if (dtype == DType::kBF16) return UnpackOf<DType::kBF16>(panel, rows, cols, out, stride);
  UnpackOf<DType::kF32>(panel, rows, cols, out, stride);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Pack);
HWY_EXPORT(Unpack);

size_t PanelBytes(DType dtype, size_t cols) {
  switch (dtype) {
    case DType::kF32:
      return cols * kPanelRows * 4;
    case DType::kF16:
      return cols * kPanelRows * 2;
    case DType::kBF16:
      return (cols + 1) / 2 * kPanelRows * 4;
    case DType::kI8:
    case DType::kNF4:
    case DType::kGgml:
      break;
  }
  return Blocks(cols) * BlockBytes(dtype);
}

size_t PackedBytes(DType dtype, size_t rows, size_t cols) {
  return (rows + kPanelRows - 1) / kPanelRows * PanelBytes(dtype, cols);
}

void PackPanel(DType dtype, const float* source, size_t stride, size_t rows, size_t cols,
               std::byte* panel) noexcept {
  HWY_DYNAMIC_DISPATCH(Pack)(dtype, source, stride, rows, cols, panel);
}

void UnpackPanel(DType dtype, const std::byte* panel, size_t rows, size_t cols, float* out,
                 size_t stride) noexcept {
  HWY_DYNAMIC_DISPATCH(Unpack)(dtype, panel, rows, cols, out, stride);
}

}  // namespace linnet
#endif  // HWY_ONCE
