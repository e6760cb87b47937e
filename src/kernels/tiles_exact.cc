#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/tiles_exact.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include "hwy/highway.h"
#include "kernels/blocks-inl.h"
#include "kernels/formats-inl.h"
#include "kernels/tiles.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr size_t kLanes = hn::MaxLanes(D());

// Vectors of outputs that a tile of so many rows keeps in registers: at most 12 sums with 16
// registers, 24 with 32.
constexpr size_t VectorsFor(size_t rows) {
  constexpr bool kManyRegisters = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON;
  if (kManyRegisters) return rows <= 2 && kLanes == 4 ? 8 : 4;
  return rows == 1 ? 8 : rows <= 3 ? 4 : 2;
}

HWY_INLINE void Prefetch(const std::byte* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);  // into L2
}

// sum[r][v] += x[r] * w[v] for the kInput-th input of a step, input k of the tile. Vectors from
// kVectors / kPanels on belong to the second panel.
template <size_t kRows, size_t kVectors, size_t kPanels, class Reader, size_t kInput>
HWY_INLINE void AddInput(const std::byte* step, size_t output, size_t panel_stride,
                         const float* const (&x)[kRows], size_t k, V (&sum)[kRows][kVectors]) {
  constexpr size_t kEach = kVectors / kPanels;
  const D d;
  const auto load = [&](size_t v) HWY_ATTR {
    const std::byte* from = step + (v < kEach ? 0 : panel_stride);
    return Reader::template Load<kInput>(d, from, output + v % kEach * kLanes);
  };
  // The operand with fewer vectors is kept in registers. In even tiles of many rows that is the
  // weights: the other way costs 4 % of the peak.
  if constexpr (kRows < kVectors) {
    V broadcast[kRows];
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) broadcast[r] = hn::Set(d, x[r][k]);
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      const V w = load(v);
      HWY_UNROLL(8)
      for (size_t r = 0; r < kRows; ++r) sum[r][v] = hn::MulAdd(broadcast[r], w, sum[r][v]);
    }
  } else {
    V w[kVectors];
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) w[v] = load(v);
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) {
      const V broadcast = hn::Set(d, x[r][k]);
      HWY_UNROLL(8)
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(broadcast, w[v], sum[r][v]);
    }
  }
}

// Outputs [output, output + kVectors * kLanes) of a tile, or all outputs of two panels.
template <size_t kRows, size_t kVectors, size_t kPanels, class Reader>
HWY_INLINE void Strip(const Tile& tile, size_t output) {
  const D d;
  const float* x[kRows];
  V sum[kRows][kVectors];
  HWY_UNROLL(8)
  for (size_t r = 0; r < kRows; ++r) {
    x[r] = reinterpret_cast<const float*>(tile.x + r * tile.x_stride);
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      sum[r][v] =
          tile.first ? hn::Zero(d) : hn::LoadU(d, tile.y + r * tile.y_stride + output + v * kLanes);
    }
  }
  constexpr size_t kAhead =
      kPanels == 2 ? Reader::kStepBytes : PrefetchBytes(kRows, Reader::kStepBytes);
  const size_t stride = tile.panel_stride;
  const std::byte *step = tile.panel, *ahead = tile.prefetch;
  const std::byte* end = kPanels == 2 ? step + stride : ahead + tile.prefetch_bytes;
  size_t k = 0;
  for (; k + Reader::kInputs <= tile.inputs; k += Reader::kInputs) {
    if constexpr (kPanels == 2) {
      if (ahead >= end) {  // continue with the next two panels
        ahead += stride;
        end += 2 * stride;
      }
      Prefetch(ahead, kAhead);
      Prefetch(ahead + stride, kAhead);
      ahead += kAhead;
    } else if (ahead < end) {
      Prefetch(ahead, kAhead);
      ahead += kAhead;
    }
    AddInput<kRows, kVectors, kPanels, Reader, 0>(step, output, stride, x, k, sum);
    if constexpr (Reader::kInputs == 2) {
      AddInput<kRows, kVectors, kPanels, Reader, 1>(step, output, stride, x, k + 1, sum);
    }
    step += Reader::kStepBytes;
  }
  if (k < tile.inputs) {  // half a pair
    AddInput<kRows, kVectors, kPanels, Reader, 0>(step, output, stride, x, k, sum);
  }
  HWY_UNROLL(8)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(sum[r][v], d, tile.y + r * tile.y_stride + output + v * kLanes);
    }
  }
}

template <DType kFormat, size_t kRows>
void RowsOf(const Tile& tile) {
  constexpr size_t kVectors = VectorsFor(kRows);
  for (size_t output = 0; output < kPanelRows; output += kVectors * kLanes) {
    Strip<kRows, kVectors, 1, PanelReader<kFormat>>(tile, output);
  }
}

template <DType kFormat>
void TileOf(const Tile& tile) {
  static constexpr TileFunction kByRows[] = {RowsOf<kFormat, 1>, RowsOf<kFormat, 2>,
                                             RowsOf<kFormat, 3>, RowsOf<kFormat, 4>,
                                             RowsOf<kFormat, 5>, RowsOf<kFormat, 6>};
  kByRows[tile.rows - 1](tile);
}

// Two panels of one to three rows; levels below AVX-512 have too few registers.
template <DType kFormat>
void PairOf(const Tile& tile) {
  if constexpr (kLanes == 16) {
    using Reader = PanelReader<kFormat>;
    if (tile.rows == 1) return Strip<1, 8, 2, Reader>(tile, 0);
    if (tile.rows == 2) return Strip<2, 8, 2, Reader>(tile, 0);
    Strip<3, 8, 2, Reader>(tile, 0);
  }
}

// [K][64] of f32.
template <DType kFormat>
void Unpack(const std::byte* panel, size_t inputs, std::byte* out) {
  using Reader = PanelReader<kFormat>;
  const D d;
  float* to = reinterpret_cast<float*>(out);
  for (size_t k = 0; k < inputs; k += Reader::kInputs, panel += Reader::kStepBytes) {
    for (size_t output = 0; output < kPanelRows; output += kLanes) {
      hn::StoreU(Reader::template Load<0>(d, panel, output), d, to + k * kPanelRows + output);
      if constexpr (Reader::kInputs == 2) {
        if (k + 1 == inputs) continue;
        hn::StoreU(Reader::template Load<1>(d, panel, output), d,
                   to + (k + 1) * kPanelRows + output);
      }
    }
  }
}

template <DType kFormat>
constexpr TileKernels KernelsOf() {
  constexpr bool kStored = kFormat == DType::kF32;
  return {.max_rows = 6,
          .few_rows = 6,
          .whole_inputs = 0,
          .packed = TileOf<kFormat>,
          .unpack_rows = 12,
          .unpack = kStored ? nullptr : Unpack<kFormat>,
          .unpacked = TileOf<DType::kF32>,
          .pair_rows = kLanes == 16 ? 3 : 0,
          .pairs = PairOf<kFormat>};
}

template <DType kFormat>
void UnpackBlocks(const std::byte* panel, size_t inputs, std::byte* out) {
  float* to = reinterpret_cast<float*>(out);  // of whole blocks
  for (size_t k = 0; k < inputs; k += kBlockInputs, panel += BlockBytes(kFormat)) {
    DecodeBlock<kFormat>(panel, to + k * kPanelRows);
  }
}

// Blocks are decoded to f32 first, also for one row.
template <DType kFormat>
constexpr TileKernels KernelsOfBlocks() {
  static_assert(kUnpackInputs % kBlockInputs == 0);
  TileKernels kernels = KernelsOf<DType::kF32>();
  kernels.few_rows = kernels.unpack_rows = kernels.pair_rows = 0;
  kernels.unpack = UnpackBlocks<kFormat>;
  return kernels;
}

const TileKernels* Tiles(DType dtype) {
  static constexpr TileKernels kF32 = KernelsOf<DType::kF32>(), kF16 = KernelsOf<DType::kF16>(),
                               kBF16 = KernelsOf<DType::kBF16>(),
                               kI8 = KernelsOfBlocks<DType::kI8>(),
                               kNF4 = KernelsOfBlocks<DType::kNF4>();
  if (dtype == DType::kI8) return &kI8;
  if (dtype == DType::kNF4) return &kNF4;
  if (dtype == DType::kF16) return &kF16;
  return dtype == DType::kBF16 ? &kBF16 : &kF32;
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Tiles);

const TileKernels& ExactTiles(DType dtype) { return *HWY_DYNAMIC_DISPATCH(Tiles)(dtype); }

}  // namespace linnet
#endif  // HWY_ONCE
