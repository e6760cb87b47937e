// bf16 products on AMX, x86's tile unit.
//
// A chunk is 32 inputs. TDPBF16PS sums the even and the odd inputs of a chunk separately, from
// zero, adds the two, and then adds the result to the output, for any number of rows.
// tiles_amx_few.cc does the same for a few rows without the unit. A panel already has the unit's
// layout: 16 rows of 16 pairs of inputs are a tile.
#include "kernels/tiles.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#define LINNET_TARGET __attribute__((target("avx512f,amx-tile,amx-bf16")))

namespace linnet {
namespace {

constexpr size_t kPairBytes = 256;  // a pair of inputs of a panel
constexpr size_t kChunkInputs = 32, kChunkBytes = 16 * kPairBytes;
constexpr size_t kTileRows = 16, kGroupRows = 2 * kTileRows;

// Shapes of the eight tile registers, for LDTILECFG.
struct alignas(64) Config {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Registers 0 to 3 are sums, 4 and 5 weights, 6 and 7 activations. 2, 3 and 7 belong to the second
// rows, if any.
LINNET_TARGET void Configure(size_t first_rows, size_t second_rows) {
  Config config;
  for (size_t i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    const bool weights = i == 4 || i == 5, second = i == 2 || i == 3 || i == 7;
    config.rows[i] = static_cast<uint8_t>(weights ? kTileRows : second ? second_rows : first_rows);
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

// The chunks of a block of weights; `last` replaces the last one if that is incomplete.
struct Chunks {
  const std::byte *first, *last;
  size_t whole, count;

  const std::byte* At(size_t chunk) const {
    return chunk < whole ? first + chunk * kChunkBytes : last;
  }
};

struct Prefetcher {
  const std::byte* from;
  size_t step;  // bytes

  LINNET_TARGET inline void Next() {
    for (size_t i = 0; i < step; i += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(from + i), _MM_HINT_T1);
    }
    from += step;
  }
};

// Four blocks of 16 outputs of 16 rows, in registers 0 to 3.
struct Sums {
  float* y[4];
  size_t stride;  // bytes

  LINNET_TARGET inline void Start(bool zero) const {
    if (zero) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    } else {
      _tile_loadd(0, y[0], stride);
      _tile_loadd(1, y[1], stride);
      _tile_loadd(2, y[2], stride);
      _tile_loadd(3, y[3], stride);
    }
  }
  LINNET_TARGET inline void Store() const {
    _tile_stored(0, y[0], stride);
    _tile_stored(1, y[1], stride);
    _tile_stored(2, y[2], stride);
    _tile_stored(3, y[3], stride);
  }
};

// Up to 16 rows, all 64 outputs at once.
LINNET_TARGET void FewRows(const Tile& tile, const Chunks& w, const std::byte* x, float* y,
                           Prefetcher ahead) {
  const Sums sums{{y, y + 16, y + 32, y + 48}, tile.y_stride * sizeof(float)};
  sums.Start(tile.first);
  // A quarter of the prefetches beside each tile: all at once would fill the memory queue.
  for (size_t chunk = 0; chunk < w.count; ++chunk, x += 64) {
    const std::byte* at = w.At(chunk);
    _tile_loadd(6, x, tile.x_stride);
    _tile_loadd(4, at, kPairBytes);
    ahead.Next();
    _tile_dpbf16ps(0, 6, 4);
    _tile_loadd(5, at + 64, kPairBytes);
    ahead.Next();
    _tile_dpbf16ps(1, 6, 5);
    _tile_loadd(4, at + 128, kPairBytes);
    ahead.Next();
    _tile_dpbf16ps(2, 6, 4);
    _tile_loadd(5, at + 192, kPairBytes);
    ahead.Next();
    _tile_dpbf16ps(3, 6, 5);
  }
  sums.Store();
}

// 17 to 32 rows, 32 outputs: each loaded tile is used twice.
LINNET_TARGET void ManyRows(const Tile& tile, const Chunks& w, size_t half, const std::byte* x,
                            float* y, Prefetcher ahead) {
  y += half * 32;
  float* y2 = y + kTileRows * tile.y_stride;
  const Sums sums{{y, y + 16, y2, y2 + 16}, tile.y_stride * sizeof(float)};
  sums.Start(tile.first);
  const std::byte* x2 = x + kTileRows * tile.x_stride;
  for (size_t chunk = 0; chunk < w.count; ++chunk, x += 64, x2 += 64) {
    const std::byte* at = w.At(chunk) + half * 128;
    ahead.Next();
    _tile_loadd(6, x, tile.x_stride);
    _tile_loadd(4, at, kPairBytes);
    _tile_loadd(5, at + 64, kPairBytes);
    _tile_loadd(7, x2, tile.x_stride);
    _tile_dpbf16ps(0, 6, 4);
    _tile_dpbf16ps(1, 6, 5);
    _tile_dpbf16ps(2, 7, 4);
    _tile_dpbf16ps(3, 7, 5);
  }
  sums.Store();
}

// All rows of a tile: groups of 32, half the outputs at a time.
LINNET_TARGET void AllRows(const Tile& tile, const Chunks& w) {
  __asm__ volatile("" : : : "memory");  // the intrinsics do not declare their memory accesses
  const size_t groups = (tile.rows + kGroupRows - 1) / kGroupRows;
  const size_t last = tile.rows - (groups - 1) * kGroupRows;
  const size_t whole = last == kGroupRows ? groups : groups - 1;
  const size_t sweeps = tile.rows <= kTileRows ? 1 : 2 * groups;
  const size_t share = tile.prefetch_bytes / sweeps / w.count / 64 * 64;
  Prefetcher ahead{tile.prefetch, std::max<size_t>(share, 64)};
  const auto x = [&](size_t group) { return tile.x + group * kGroupRows * tile.x_stride; };
  const auto y = [&](size_t group) { return tile.y + group * kGroupRows * tile.y_stride; };
  if (whole > 0) {
    Configure(kTileRows, kTileRows);
    for (size_t half = 0; half < 2; ++half) {
      for (size_t group = 0; group < whole; ++group) {
        ManyRows(tile, w, half, x(group), y(group), ahead);
        ahead.from += ahead.step * w.count;
      }
    }
  }
  if (last <= kTileRows) {
    Configure(last, last);
    FewRows(tile, w, x(whole), y(whole), {ahead.from, (ahead.step / 4 + 63) / 64 * 64});
  } else if (last < kGroupRows) {
    Configure(kTileRows, last - kTileRows);
    ManyRows(tile, w, 0, x(whole), y(whole), ahead);
    ahead.from += ahead.step * w.count;
    ManyRows(tile, w, 1, x(whole), y(whole), ahead);
  }
  _tile_release();
  __asm__ volatile("" : : : "memory");
}

// Copies the pairs of inputs of an incomplete chunk and pads with zeros: the bytes behind it belong
// to another panel, and 0 times an infinity in it would be NaN.
void CopyPartial(const std::byte* from, size_t inputs, std::byte* chunk) {
  const size_t bytes = (inputs + 1) / 2 * kPairBytes;
  std::memcpy(chunk, from, bytes);
  std::memset(chunk + bytes, 0, kChunkBytes - bytes);
}

void TileOf(const Tile& tile) {
  if (tile.rows <= kAmxFewRows) return AmxFewRows(tile);
  alignas(64) std::byte part[kChunkBytes];
  const size_t whole = tile.inputs / kChunkInputs, rest = tile.inputs % kChunkInputs;
  if (rest != 0) CopyPartial(tile.panel + whole * kChunkBytes, rest, part);
  AllRows(tile, {tile.panel, part, whole, whole + (rest != 0)});
}

}  // namespace

const TileKernels& AmxTiles() {
  static constexpr TileKernels kKernels = {.max_rows = kMaxRowBlock,
                                           .few_rows = kTileRows,
                                           .whole_inputs = 0,
                                           .packed = TileOf,
                                           .unpack_rows = 0,
                                           .unpack = nullptr,
                                           .unpacked = nullptr,
                                           .pair_rows = kAmxFewRows,
                                           .pairs = AmxFewPairs,
                                           .row_block = 256,
                                           .panels = 4,
                                           .inputs = 2048};
  return kKernels;
}

}  // namespace linnet

#else

#include "base/check.h"

namespace linnet {
const TileKernels& AmxTiles() {
  LINNET_CHECK(false);
  return ExactTiles(DType::kBF16);
}
}  // namespace linnet

#endif
