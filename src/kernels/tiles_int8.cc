// int8 dot products with x86 intrinsics: Highway 1.0.3 has none.
//
// A block's products are summed as integers, which is exact in any order; then each block is added
// to the sum of its output: sum = fma(float(integers), weight scale * row scale, sum). So all
// kernels that keep the order of the blocks give the same bits.
#include "kernels/tiles.h"

#if defined(__x86_64__)

#include <algorithm>
#include <cstring>

#include "kernels/blocks.h"
#include "kernels/int8_rows.h"
#include "kernels/int8_x86.h"

namespace linnet {
namespace {

// Some rows and blocks of a tile.
struct SubTile {
  const Tile& tile;
  size_t row, block, blocks;  // the first row and block
  const std::byte* weights;   // of the first block
  const std::byte* ahead;     // what to prefetch meanwhile
  const std::byte* ahead_end;
};

// Prefetching. One panel: at most kMost bytes a step, up to `end`. Two: as much as is read of both,
// and after the end of the first, the next two panels.
template <Core kCore, size_t kPanels, size_t kMost>
struct Ahead {
  const std::byte *at, *end;
  size_t stride;

  LINNET_VNNI inline void Fetch(size_t bytes) {
    if constexpr (kPanels == 1) {
      if (at >= end) return;
      PrefetchLines<kCore>(at, std::min(bytes, kMost));
      at += std::min(bytes, kMost);
    } else {
      if (at >= end) {
        at += stride;
        end += 2 * stride;
      }
      PrefetchLines<kCore>(at, bytes);
      PrefetchLines<kCore>(at + stride, bytes);
      at += bytes;
    }
  }
};

LINNET_VNNI inline __m512 ScaleOf(const std::byte* scales) {
  const auto* halves = reinterpret_cast<const __m256i*>(scales);
  return _mm512_maskz_cvtph_ps(kAll, _mm256_loadu_si256(halves));
}

// The sum of an output after a block's integers are added.
LINNET_VNNI inline __m512 Added(__m512i dot, __m512 scale, const Int8Block& row, __m512 sum) {
  const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(row.scale));
  return _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(kAll, dot), both, sum);
}

// A few rows, with the sums in registers.
template <Core kCore, DType kFormat, size_t kRows, size_t kPanels>
LINNET_VNNI void FewRows(const Tile& tile) {
  constexpr size_t kVectors = 4 * kPanels;  // of 16 outputs
  constexpr size_t kStep = Quads<kFormat, kCore>::kStepBytes;
  const Quads<kFormat, kCore> quads;
  const size_t stride = tile.panel_stride;
  const std::byte* x[kRows];
  const Int8Block* scales[kRows];
  __m512 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
    x[r] = tile.x + r * tile.x_stride;
    scales[r] = Int8Blocks(x[r], tile.inputs);
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) sum[r][v] = _mm512_setzero_ps();
  }
  const std::byte* step = tile.panel;
  const std::byte* end = kPanels == 2 ? step + stride : tile.prefetch + tile.prefetch_bytes;
  Ahead<kCore, kPanels, PrefetchBytes(kRows, kStep)> ahead{tile.prefetch, end, stride};
  for (size_t block = 0; block < Blocks(tile.inputs); ++block) {
    __m512i dot[kRows][kVectors];
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) dot[r][v] = _mm512_set1_epi32(scales[r][block].start);
    }
    for (size_t k = 0; k < kBlockInputs; k += 8, step += kStep) {
      ahead.Fetch(kStep);
      __m512i first[kRows], second[kRows];
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) {
        const auto* at = reinterpret_cast<const int*>(x[r] + block * kBlockInputs + k);
        first[r] = _mm512_set1_epi32(at[0]);
        second[r] = _mm512_set1_epi32(at[1]);
      }
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) {
        const TwoQuads w = quads.Load(step + (v < 4 ? 0 : stride) + v % 4 * 64);
#pragma GCC unroll 8
        for (size_t r = 0; r < kRows; ++r) AddDots(dot[r][v], w.first, first[r]);
#pragma GCC unroll 8
        for (size_t r = 0; r < kRows; ++r) AddDots(dot[r][v], w.second, second[r]);
      }
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      const __m512 scale = ScaleOf(step + (v < 4 ? 0 : stride) + v % 4 * 32);
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) {
        sum[r][v] = Added(dot[r][v], scale, scales[r][block], sum[r][v]);
      }
    }
    step += kScaleBytes;
    ahead.Fetch(kScaleBytes);
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      _mm512_storeu_ps(tile.y + r * tile.y_stride + v * 16, sum[r][v]);
    }
  }
}

// More rows, of int8: the sums stay in y, since the registers hold only the integers of one block.
// Prefetches go to L2, where all rows use them.
template <size_t kRows>
LINNET_VNNI void AddManyRows(const SubTile& p) {
  constexpr size_t kVectors = 4;
  const Tile& tile = p.tile;
  const size_t y_stride = tile.y_stride;
  float* const y = tile.y + p.row * y_stride;
  const std::byte* x[kRows];
  const Int8Block* scales[kRows];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
    const std::byte* row = tile.x + (p.row + r) * tile.x_stride;
    x[r] = row + p.block * kBlockInputs;
    scales[r] = Int8Blocks(row, tile.inputs) + p.block;
    if (p.block == 0) std::fill_n(y + r * y_stride, kPanelRows, 0.0f);
  }
  const std::byte* quad = p.weights;
  Ahead<Core::kAny, 1, PrefetchBytes(kRows, kQuadBytes)> ahead{p.ahead, p.ahead_end, 0};
  for (size_t block = 0; block < p.blocks; ++block) {
    __m512i dot[kRows][kVectors];
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) dot[r][v] = _mm512_set1_epi32(scales[r][block].start);
    }
    for (size_t k = 0; k < kBlockInputs; k += 4, quad += kQuadBytes) {
      ahead.Fetch(kQuadBytes);
      __m512i inputs[kRows];
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) {
        const std::byte* at = x[r] + block * kBlockInputs + k;
        inputs[r] = _mm512_set1_epi32(*reinterpret_cast<const int*>(at));
      }
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) {
        const __m512i w = _mm512_loadu_si512(quad + v * 64);
#pragma GCC unroll 8
        for (size_t r = 0; r < kRows; ++r) AddDots(dot[r][v], w, inputs[r]);
      }
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      const __m512 scale = ScaleOf(quad + v * 32);
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) {
        float* sum = y + r * y_stride + v * 16;
        _mm512_storeu_ps(sum, Added(dot[r][v], scale, scales[r][block], _mm512_loadu_ps(sum)));
      }
    }
    quad += kScaleBytes;
    ahead.Fetch(kScaleBytes);
  }
}

template <Core kCore, DType kFormat>
constexpr TileFunction kFewRows[] = {FewRows<kCore, kFormat, 1, 1>, FewRows<kCore, kFormat, 2, 1>,
                                     FewRows<kCore, kFormat, 3, 1>, FewRows<kCore, kFormat, 4, 1>,
                                     FewRows<kCore, kFormat, 5, 1>, FewRows<kCore, kFormat, 6, 1>};
template <Core kCore, DType kFormat>
constexpr TileFunction kFewRowsOfPairs[] = {
    FewRows<kCore, kFormat, 1, 2>, FewRows<kCore, kFormat, 2, 2>, FewRows<kCore, kFormat, 3, 2>,
    FewRows<kCore, kFormat, 4, 2>};
using SubTileFunction = void (*)(const SubTile& tile);
constexpr SubTileFunction kManyRows[] = {AddManyRows<1>, AddManyRows<2>, AddManyRows<3>,
                                         AddManyRows<4>, AddManyRows<5>, AddManyRows<6>};
constexpr size_t kGroupRows = 6;

// Blocks of nf4 as blocks of int8.
template <Core kCore>
LINNET_VNNI void Widen(const std::byte* from, size_t blocks, std::byte* to) {
  const Quads<DType::kNF4, kCore> quads;
  for (size_t block = 0; block < blocks; ++block) {
    for (size_t k = 0; k < kBlockInputs; k += 8, from += kQuadBytes, to += 2 * kQuadBytes) {
#pragma GCC unroll 4
      for (size_t v = 0; v < 4; ++v) {
        const TwoQuads w = quads.Load(from + v * 64);
        _mm512_storeu_si512(to + v * 64, w.first);
        _mm512_storeu_si512(to + kQuadBytes + v * 64, w.second);
      }
    }
    std::memcpy(to, from, kScaleBytes);
    from += kScaleBytes, to += kScaleBytes;
  }
}

// All rows, some blocks at a time, which stay in L1.
template <Core kCore, DType kFormat>
void TileOf(const Tile& tile) {
  constexpr size_t kNear = 4, kNearBytes = kNear * BlockBytes(DType::kI8);
  const size_t blocks = Blocks(tile.inputs), bytes = BlockBytes(kFormat);
  const std::byte* const end = tile.prefetch + tile.prefetch_bytes;
  if (tile.rows <= kGroupRows) return kFewRows<kCore, kFormat>[tile.rows - 1](tile);
  alignas(64) std::byte wide[kNearBytes];
  const size_t groups = (tile.rows + kGroupRows - 1) / kGroupRows;
  for (size_t block = 0; block < blocks; block += kNear) {
    const size_t count = std::min(kNear, blocks - block);
    const std::byte* weights = tile.panel + block * bytes;
    if constexpr (kFormat == DType::kNF4) {
      Widen<kCore>(weights, count, wide);
      weights = wide;
    }
    for (size_t group = 0; group < groups; ++group) {
      const size_t row = tile.rows * group / groups;
      const size_t rows = tile.rows * (group + 1) / groups - row;
      const std::byte* ahead = tile.prefetch + (block + count * group / groups) * bytes;
      const std::byte* ahead_end = tile.prefetch + (block + count * (group + 1) / groups) * bytes;
      kManyRows[rows - 1]({tile, row, block, count, weights, ahead, std::min(ahead_end, end)});
    }
  }
}

// Inputs that share 256 bytes of a panel: a quad of int8, two of nf4.
template <DType kFormat>
constexpr size_t kUnits = BlockWeightBytes(kFormat) / kQuadBytes;  // of a block

// The units of a block with inputs that are not zero, one bit each.
template <DType kFormat>
LINNET_VNNI inline uint32_t UsedUnits(const std::byte* x) {
  const __m512i inputs = _mm512_loadu_si512(x);
  if constexpr (kFormat == DType::kI8) return _mm512_test_epi32_mask(inputs, inputs);
  return _mm512_test_epi64_mask(inputs, inputs);
}

// Whether so many units are zero that skipping them gains more than sequential reads do. Measured:
// the break-even is at 35 % for int8 and half for nf4.
template <DType kFormat>
LINNET_VNNI bool IsSparse(const Tile& tile) {
  const size_t blocks = Blocks(tile.inputs);
  int used = 0;
  for (size_t block = 0; block < blocks; ++block) {
    used += __builtin_popcount(UsedUnits<kFormat>(tile.x + block * kBlockInputs));
  }
  constexpr size_t kZerosPercent = kFormat == DType::kI8 ? 40 : 55;
  return 100 * static_cast<size_t>(used) <= (100 - kZerosPercent) * blocks * kUnits<kFormat>;
}

// Prefetches what a row will use of two panels, block by block, and then of the next two.
template <Core kCore, DType kFormat>
struct AheadOfUsed {
  const Tile& tile;
  const std::byte* at;
  size_t block;

  LINNET_VNNI inline void FetchBlock() {
    constexpr size_t kWeights = BlockWeightBytes(kFormat);
    uint32_t used = UsedUnits<kFormat>(tile.x + block * kBlockInputs);
    for (; used != 0; used &= used - 1) {
      const std::byte* unit = at + static_cast<size_t>(__builtin_ctz(used)) * kQuadBytes;
      PrefetchLines<kCore>(unit, kQuadBytes);
      PrefetchLines<kCore>(unit + tile.panel_stride, kQuadBytes);
    }
    PrefetchLines<kCore>(at + kWeights, kScaleBytes);
    PrefetchLines<kCore>(at + kWeights + tile.panel_stride, kScaleBytes);
    at += BlockBytes(kFormat);
    if (++block < Blocks(tile.inputs)) return;
    block = 0;
    at += tile.panel_stride;
  }
};

// One row and two panels: units of zeros are skipped. Their integers would be zero, so the bits are
// the same.
template <Core kCore, DType kFormat>
LINNET_VNNI void SparsePair(const Tile& tile) {
  constexpr size_t kVectors = 8, kWeights = BlockWeightBytes(kFormat);
  const Quads<kFormat, kCore> quads;
  const size_t stride = tile.panel_stride, blocks = Blocks(tile.inputs);
  const Int8Block* scales = Int8Blocks(tile.x, tile.inputs);
  const std::byte *x = tile.x, *weights = tile.panel;
  AheadOfUsed<kCore, kFormat> ahead{tile, tile.panel + BlockBytes(kFormat), 1 % blocks};
  if (blocks == 1) ahead.at += stride;
  __m512 sum[kVectors];
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) sum[v] = _mm512_setzero_ps();
  for (size_t block = 0; block < blocks; ++block) {
    ahead.FetchBlock();
    __m512i dot[kVectors];
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) dot[v] = _mm512_set1_epi32(scales[block].start);
    for (uint32_t used = UsedUnits<kFormat>(x); used != 0; used &= used - 1) {
      const auto unit = static_cast<size_t>(__builtin_ctz(used));
      const std::byte* from = weights + unit * kQuadBytes;
      const auto* inputs = reinterpret_cast<const int*>(x) + unit * (kFormat == DType::kI8 ? 1 : 2);
      const __m512i first = _mm512_set1_epi32(inputs[0]);
      [[maybe_unused]] __m512i second;
      if constexpr (kFormat == DType::kNF4) second = _mm512_set1_epi32(inputs[1]);
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) {
        const std::byte* at = from + (v < 4 ? 0 : stride) + v % 4 * 64;
        if constexpr (kFormat == DType::kI8) {
          AddDots(dot[v], _mm512_loadu_si512(at), first);
        } else {
          const TwoQuads w = quads.Load(at);
          AddDots(dot[v], w.first, first);
          AddDots(dot[v], w.second, second);
        }
      }
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      const __m512 scale = ScaleOf(weights + kWeights + (v < 4 ? 0 : stride) + v % 4 * 32);
      sum[v] = Added(dot[v], scale, scales[block], sum[v]);
    }
    weights += BlockBytes(kFormat);
    x += kBlockInputs;
  }
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) _mm512_storeu_ps(tile.y + v * 16, sum[v]);
}

template <Core kCore, DType kFormat>
void PairOf(const Tile& tile) {
  if (tile.rows == 1 && IsSparse<kFormat>(tile)) return SparsePair<kCore, kFormat>(tile);
  kFewRowsOfPairs<kCore, kFormat>[tile.rows - 1](tile);
}

template <Core kCore, DType kFormat>
constexpr TileKernels kKernels = {.max_rows = kMaxRowBlock,
                                  .few_rows = kGroupRows,
                                  .whole_inputs = SIZE_MAX,
                                  .packed = TileOf<kCore, kFormat>,
                                  .unpack_rows = 0,
                                  .unpack = nullptr,
                                  .unpacked = nullptr,
                                  .pair_rows = 4,
                                  .pairs = PairOf<kCore, kFormat>,
                                  .near_sums = true,
                                  .ahead_bytes = kCore == Core::kZen ? 4096 : 2048};

}  // namespace

const TileKernels& Int8Tiles(DType dtype, Core core) {
  const bool i8 = dtype == DType::kI8;
  if (core == Core::kZen) {
    return i8 ? kKernels<Core::kZen, DType::kI8> : kKernels<Core::kZen, DType::kNF4>;
  }
  return i8 ? kKernels<Core::kAny, DType::kI8> : kKernels<Core::kAny, DType::kNF4>;
}

}  // namespace linnet

#else

#include "base/check.h"

namespace linnet {
const TileKernels& Int8Tiles(DType dtype, Core) {
  LINNET_CHECK(false);
  return ExactTiles(dtype);
}
}  // namespace linnet

#endif
