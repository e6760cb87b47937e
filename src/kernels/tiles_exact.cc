#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/tiles_exact.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include "hwy/highway.h"
#include "kernels/formats-inl.h"
#include "kernels/tiles.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr size_t kLanes = hn::MaxLanes(D());

// Vectors of outputs that a tile of so many rows keeps in registers: with 16 registers at most
// 12 sums, with 32 at most 24.
constexpr size_t VectorsFor(size_t rows) {
  constexpr bool kManyRegisters = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON;
  if (kManyRegisters) return rows <= 2 && kLanes == 4 ? 8 : 4;
  return rows == 1 ? 8 : rows <= 3 ? 4 : 2;
}

// sum[r][v] += x[r] * w[v] for one input.
template <size_t kRows, size_t kVectors, size_t kInput, class Reader, class Raw>
HWY_INLINE void AddInput(const Raw (&raw)[kVectors], const float* const (&x)[kRows], size_t k,
                         V (&sum)[kRows][kVectors]) {
  const D d;
  V broadcast[kRows];
  HWY_UNROLL(8)
  for (size_t r = 0; r < kRows; ++r) broadcast[r] = hn::Set(d, x[r][k]);
  HWY_UNROLL(8)
  for (size_t v = 0; v < kVectors; ++v) {
    const V w = Reader::template Input<kInput>(d, raw[v]);
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) sum[r][v] = hn::MulAdd(broadcast[r], w, sum[r][v]);
  }
}

// Outputs [output, output + kVectors * kLanes) of a tile.
template <size_t kRows, size_t kVectors, class Reader>
HWY_INLINE void Strip(const Tile& tile, size_t output) {
  const D d;
  using Raw = decltype(Reader::Load(d, nullptr, 0));
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
  const std::byte* step = tile.panel;
  size_t k = 0;
  for (; k + Reader::kInputs <= tile.inputs; k += Reader::kInputs, step += Reader::kStepBytes) {
    Raw raw[kVectors];
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) raw[v] = Reader::Load(d, step, output + v * kLanes);
    AddInput<kRows, kVectors, 0, Reader>(raw, x, k, sum);
    if constexpr (Reader::kInputs == 2) {
      AddInput<kRows, kVectors, 1, Reader>(raw, x, k + 1, sum);
    }
  }
  if (k < tile.inputs) {  // half of a pair
    Raw raw[kVectors];
    for (size_t v = 0; v < kVectors; ++v) raw[v] = Reader::Load(d, step, output + v * kLanes);
    AddInput<kRows, kVectors, 0, Reader>(raw, x, k, sum);
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
void TileOf(const Tile& tile) {
  constexpr size_t kVectors = VectorsFor(kRows);
  for (size_t output = 0; output < kPanelRows; output += kVectors * kLanes) {
    Strip<kRows, kVectors, PanelReader<kFormat>>(tile, output);
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
      const auto raw = Reader::Load(d, panel, output);
      hn::StoreU(Reader::template Input<0>(d, raw), d, to + k * kPanelRows + output);
      if constexpr (Reader::kInputs == 2) {
        if (k + 1 == inputs) continue;
        hn::StoreU(Reader::template Input<1>(d, raw), d, to + (k + 1) * kPanelRows + output);
      }
    }
  }
}

template <DType kFormat>
constexpr TileKernels KernelsOf() {
  return {{TileOf<kFormat, 1>, TileOf<kFormat, 2>, TileOf<kFormat, 3>, TileOf<kFormat, 4>,
           TileOf<kFormat, 5>, TileOf<kFormat, 6>},
          kFormat == DType::kF32 ? nullptr : Unpack<kFormat>,
          {TileOf<DType::kF32, 1>, TileOf<DType::kF32, 2>, TileOf<DType::kF32, 3>,
           TileOf<DType::kF32, 4>, TileOf<DType::kF32, 5>, TileOf<DType::kF32, 6>},
          kPanelRows * sizeof(float)};
}

const TileKernels* Tiles(DType dtype) {
  static constexpr TileKernels kF32 = KernelsOf<DType::kF32>(), kF16 = KernelsOf<DType::kF16>(),
                               kBF16 = KernelsOf<DType::kBF16>();
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
