// int8 products on AMX, x86's tile unit, for more than a few rows.
//
// TDPBSSD sums a block of 64 inputs of 16 rows and 16 outputs at once, in integers: exactly what
// the kernels for few rows sum one after another, so the bits are the same.
#include "kernels/tiles.h"

#if defined(__x86_64__)

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/int8_rows.h"
#include "kernels/int8_x86.h"

#define LINNET_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,amx-tile,amx-int8")))

#if defined(__GNUC__) && !defined(__clang__)
// Whether sums are loaded and stored depends on `add`, which GCC does not analyze.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace linnet {
namespace {

constexpr size_t kTileRows = 16, kTileBytes = 1024;
constexpr size_t kNear = 4;  // blocks that all rows process at a time
// Up to so many groups of rows are memory-bound: then weights are read in smaller runs between
// products.
constexpr size_t kFewGroups = 2;

// Some blocks of a panel in the layout of the unit.
struct Chunk {
  alignas(64) std::byte weights[kNear][4][kTileBytes];  // of q, [16 quads][16 outputs][4]
  alignas(64) float scales[kNear][kPanelRows];
};

template <DType kFormat>
LINNET_VNNI void Fill(const std::byte* from, size_t blocks, Chunk& chunk) {
  const Quads<kFormat> quads;
  const __m512i flip = _mm512_set1_epi8(-128);
  for (size_t block = 0; block < blocks; ++block) {
    for (size_t quad = 0; quad < 16; quad += 2, from += Quads<kFormat>::kStepBytes) {
#pragma GCC unroll 4
      for (size_t v = 0; v < 4; ++v) {
        const TwoQuads w = quads.Load(from + v * 64);
        std::byte* to = chunk.weights[block][v] + quad * 64;
        _mm512_store_si512(to, _mm512_xor_si512(w.first, flip));
        _mm512_store_si512(to + 64, _mm512_xor_si512(w.second, flip));
      }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; ++v) {
      const auto* scales = reinterpret_cast<const __m256i*>(from + v * 32);
      _mm512_store_ps(chunk.scales[block] + v * 16,
                      _mm512_maskz_cvtph_ps(kAll, _mm256_loadu_si256(scales)));
    }
    from += kScaleBytes;
  }
}

// Shapes of the eight tile registers, for LDTILECFG: 0 and 1 are sums, 2 and 3 weights, 4 and up
// the activations of kNear blocks.
struct alignas(64) Config {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

LINNET_TARGET void Configure(size_t rows) {
  Config config;
  for (size_t i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = static_cast<uint8_t>(i == 2 || i == 3 ? kTileRows : rows);
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

struct Prefetcher {
  const std::byte* from;
  size_t step;  // bytes per product of tiles

  LINNET_TARGET inline void Next() {
    PrefetchLines(from, step);
    from += step;
  }
};

// Some rows and blocks of a tile.
struct SubTile {
  const Tile& tile;
  size_t row, block, blocks;
  const Chunk& chunk;
};

// Starts the integer sums of a block of 16 outputs; its activations are in register 4 + kBlock.
template <size_t kBlock>
LINNET_TARGET inline void StartDot(const std::byte* w) {
  if constexpr (kBlock % 2 == 0) {
    _tile_zero(0);
    _tile_loadd(2, w, 64);
  } else {
    _tile_zero(1);
    _tile_loadd(3, w, 64);
  }
  if constexpr (kBlock == 0) _tile_dpbssd(0, 4, 2);
  if constexpr (kBlock == 1) _tile_dpbssd(1, 5, 3);
  if constexpr (kBlock == 2) _tile_dpbssd(0, 6, 2);
  if constexpr (kBlock == 3) _tile_dpbssd(1, 7, 3);
}

template <size_t kBlock>
LINNET_TARGET inline void StoreDot(int32_t* dot) {
  if constexpr (kBlock % 2 == 0) {
    _tile_stored(0, dot, 64);
  } else {
    _tile_stored(1, dot, 64);
  }
}

LINNET_TARGET inline void LoadActivations(const std::byte* x, size_t stride, size_t blocks) {
  _tile_loadd(4, x, stride);
  if (blocks > 1) _tile_loadd(5, x + kBlockInputs, stride);
  if (blocks > 2) _tile_loadd(6, x + 2 * kBlockInputs, stride);
  if (blocks > 3) _tile_loadd(7, x + 3 * kBlockInputs, stride);
}

template <size_t kRows>
LINNET_TARGET inline void AddDot(const int32_t* dot, __m512 scale, const std::byte* blocks,
                                 size_t stride, __m512 (&sum)[kRows]) {
  const std::byte* bases[4];
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) bases[i] = blocks + 4 * i * stride;
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
    const auto* block = reinterpret_cast<const Int8Block*>(bases[r / 4] + r % 4 * stride);
    const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(block->scale));
    const __m512i integers = _mm512_load_si512(dot + r * 16);
    sum[r] = _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(kAll, integers), both, sum[r]);
  }
}

// The tile unit works on 16 outputs while the integers of the previous 16 are scaled and added.
template <size_t kRows>
LINNET_TARGET void AddBlocks(const SubTile& p, Prefetcher& ahead) {
  static_assert(kNear == 4);
  alignas(64) int32_t dots[2][kNear][kTileRows * 16];
  const Tile& tile = p.tile;
  const std::byte* row = tile.x + p.row * tile.x_stride;
  const auto* scales = reinterpret_cast<const std::byte*>(Int8Blocks(row, tile.inputs) + p.block);
  LoadActivations(row + p.block * kBlockInputs, tile.x_stride, p.blocks);
  for (size_t v = 0; v <= 4; ++v) {
    const bool start = v<4, add = v> 0;
    auto &fresh = dots[v % 2], &ready = dots[1 - v % 2];
    float* y = tile.y + p.row * tile.y_stride + (v - add) * 16;
    __m512 sum[kRows];
    if (add) {
#pragma GCC unroll 16
      for (size_t r = 0; r < kRows; ++r) {
        sum[r] = p.block == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(y + r * tile.y_stride);
      }
    }
    const auto each = [&]<size_t kBlock>(std::integral_constant<size_t, kBlock>)
        __attribute__((always_inline)) LINNET_TARGET {
      if (start && kBlock < p.blocks) StartDot<kBlock>(p.chunk.weights[kBlock][v]);
      // One step later, so that nothing waits for the unit.
      if constexpr (kBlock > 0) {
        if (start && kBlock <= p.blocks) StoreDot<kBlock - 1>(fresh[kBlock - 1]);
      }
      if (start && kBlock < p.blocks) ahead.Next();
      if (add && kBlock < p.blocks) {
        AddDot<kRows>(ready[kBlock], _mm512_load_ps(p.chunk.scales[kBlock] + (v - 1) * 16),
                      scales + kBlock * sizeof(Int8Block), tile.x_stride, sum);
      }
    };
    each(std::integral_constant<size_t, 0>());
    each(std::integral_constant<size_t, 1>());
    each(std::integral_constant<size_t, 2>());
    each(std::integral_constant<size_t, 3>());
    if (start && p.blocks == kNear) StoreDot<3>(fresh[3]);
    if (add) {
#pragma GCC unroll 16
      for (size_t r = 0; r < kRows; ++r) _mm512_storeu_ps(y + r * tile.y_stride, sum[r]);
    }
  }
}

using GroupFunction = void (*)(const SubTile& tile, Prefetcher& ahead);
constexpr GroupFunction kByRows[] = {AddBlocks<1>,  AddBlocks<2>,  AddBlocks<3>,  AddBlocks<4>,
                                     AddBlocks<5>,  AddBlocks<6>,  AddBlocks<7>,  AddBlocks<8>,
                                     AddBlocks<9>,  AddBlocks<10>, AddBlocks<11>, AddBlocks<12>,
                                     AddBlocks<13>, AddBlocks<14>, AddBlocks<15>, AddBlocks<16>};

// Groups of up to 16 rows, as even as possible.
template <DType kFormat>
LINNET_TARGET void ManyRows(const Tile& tile) {
  Chunk chunk;
  const size_t blocks = Blocks(tile.inputs), groups = (tile.rows + kTileRows - 1) / kTileRows;
  const size_t larger = tile.rows % groups;  // groups with one row more
  const size_t lines = (tile.prefetch_bytes + 63) / 64, products = 4 * groups * blocks;
  Prefetcher ahead{tile.prefetch, (lines + products - 1) / products * 64};
  const std::byte* const end = tile.prefetch + tile.prefetch_bytes;
  const size_t near = groups <= kFewGroups ? kNear / 2 : kNear;
  size_t configured = 0;  // LDTILECFG waits for all products before it
  for (size_t block = 0; block < blocks; block += near) {
    const size_t count = std::min(near, blocks - block);
    Fill<kFormat>(tile.panel + block * BlockBytes(kFormat), count, chunk);
    __asm__ volatile("" : : : "memory");  // the intrinsics do not declare what they read
    for (size_t i = 0; i < groups; ++i) {
      // To and fro, so that a shape is kept from one run of blocks to the next.
      const size_t group = block / near % 2 == 0 ? i : groups - 1 - i;
      const size_t row = tile.rows / groups * group + std::min(group, larger);
      const size_t rows = tile.rows / groups + (group < larger ? 1 : 0);
      if (rows != configured) Configure(configured = rows);
      if (ahead.from >= end) ahead.step = 0;
      kByRows[rows - 1]({tile, row, block, count, chunk}, ahead);
    }
  }
  _tile_release();
}

// Up to so many rows vector dot products are as fast.
constexpr size_t kFewRows = 12;

template <DType kFormat>
void TileOf(const Tile& tile) {
  if (tile.rows <= kFewRows) return Int8Tiles(kFormat).packed(tile);
  ManyRows<kFormat>(tile);
}

template <DType kFormat>
TileKernels Kernels() {
  TileKernels kernels = Int8Tiles(kFormat);
  kernels.packed = TileOf<kFormat>;
  return kernels;
}

}  // namespace

const TileKernels& Int8AmxTiles(DType dtype) {
  static const TileKernels kI8 = Kernels<DType::kI8>(), kNF4Kernels = Kernels<DType::kNF4>();
  return dtype == DType::kI8 ? kI8 : kNF4Kernels;
}

}  // namespace linnet

#else

#include "base/check.h"

namespace linnet {
const TileKernels& Int8AmxTiles(DType dtype) {
  LINNET_CHECK(false);
  return ExactTiles(dtype);
}
}  // namespace linnet

#endif
