#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pack.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "hwy/highway.h"
#include "kernels/formats-inl.h"
#include "kernels/map-inl.h"
#include "kernels/matmul.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
constexpr size_t kLanes = hn::MaxLanes(D());
// Inputs that are transposed at a time: a cache line of every row, an even number.
constexpr size_t kBlock = 16;

#if HWY_TARGET == HWY_SCALAR

// kBlock inputs of 64 rows: source [row][k] to [k][row].
void Transpose(const float* x, size_t stride, float* to) {
  for (size_t row = 0; row < kPanelRows; ++row) {
    for (size_t k = 0; k < kBlock; ++k) to[k * kPanelRows + row] = x[row * stride + k];
  }
}

#else

// Blocks of four lanes of v to rows `stride` floats apart.
template <class DV>
HWY_INLINE void StoreBlocks(DV d, hn::Vec<DV> v, float* to, size_t stride) {
  if constexpr (hn::MaxLanes(d) <= 4) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<DV> half;
    StoreBlocks(half, hn::LowerHalf(half, v), to, stride);
    StoreBlocks(half, hn::UpperHalf(half, v), to + stride * (hn::MaxLanes(d) / 8), stride);
  }
}

// Four rows of kLanes inputs to kLanes inputs of four rows.
HWY_INLINE void TransposeFour(const float* x, size_t stride, float* to) {
  const D d;
  const hn::Repartition<double, D> dd;
  const auto a = hn::LoadU(d, x), b = hn::LoadU(d, x + stride);
  const auto c = hn::LoadU(d, x + 2 * stride), e = hn::LoadU(d, x + 3 * stride);
  const auto ab0 = hn::BitCast(dd, hn::InterleaveLower(d, a, b));
  const auto ab2 = hn::BitCast(dd, hn::InterleaveUpper(d, a, b));
  const auto ce0 = hn::BitCast(dd, hn::InterleaveLower(d, c, e));
  const auto ce2 = hn::BitCast(dd, hn::InterleaveUpper(d, c, e));
  const size_t next = 4 * kPanelRows;  // a block of four inputs further on
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveLower(dd, ab0, ce0)), to, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveUpper(dd, ab0, ce0)), to + kPanelRows, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveLower(dd, ab2, ce2)), to + 2 * kPanelRows, next);
  StoreBlocks(d, hn::BitCast(d, hn::InterleaveUpper(dd, ab2, ce2)), to + 3 * kPanelRows, next);
}

// kBlock inputs of 64 rows: source [row][k] to [k][row].
void Transpose(const float* x, size_t stride, float* to) {
  for (size_t row = 0; row < kPanelRows; row += 4) {
    for (size_t k = 0; k < kBlock; k += kLanes) {
      TransposeFour(x + row * stride + k, stride, to + k * kPanelRows + row);
    }
  }
}

#endif

// [k][64] of f32 to the format's steps; an odd last input is paired with zero.
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

void Pack(DType dtype, const float* source, size_t stride, size_t rows, size_t cols,
          std::byte* panel) {
  HWY_ALIGN float block[kBlock * kPanelRows], padded[kPanelRows * kBlock];
  for (size_t k = 0; k < cols; k += kBlock, panel += PanelBytes(dtype, kBlock)) {
    const size_t inputs = std::min(kBlock, cols - k);
    if (rows == kPanelRows && inputs == kBlock) {
      Transpose(source + k, stride, block);
    } else {
      std::memset(padded, 0, sizeof(padded));
      for (size_t row = 0; row < rows; ++row) {
        std::memcpy(padded + row * kBlock, source + row * stride + k, inputs * sizeof(float));
      }
      Transpose(padded, kBlock, block);
    }
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

void Unpack(DType dtype, const std::byte* panel, size_t rows, size_t cols, float* out,
            size_t stride) {
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
      break;
  }
  LINNET_CHECK(false);
  return 0;
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
