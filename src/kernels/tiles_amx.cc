// bf16 products on AMX, x86's unit for products of tiles.
//
// A chunk is 32 inputs. TDPBF16PS sums the even and the odd inputs of a chunk apart, from zero,
// adds the two, and then adds that to the output: the same for any number of rows, so one row runs
// on it too. A panel is already what the unit wants: 16 rows of 16 pairs of inputs are a tile.
#include "kernels/tiles.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#define LINNET_TARGET __attribute__((target("avx512f,amx-tile,amx-bf16")))

namespace linnet {
namespace {

constexpr size_t kChunkInputs = 32, kChunkBytes = 16 * 256;  // of x: 64 bytes; of a panel
constexpr size_t kTileRows = 16;
constexpr long kPanelStride = 256;

// Shapes of the eight tile registers, as LDTILECFG wants them.
struct alignas(64) Config {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Sums 0 to 3, weights 4 and 5, activations 6 and 7. Sums 0 and 1 and activations 6 are of the
// first rows; 2, 3 and 7 of the second.
LINNET_TARGET void Configure(size_t first_rows, size_t second_rows) {
  Config config;
  for (size_t i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    const bool weights = i == 4 || i == 5, second = i == 2 || i == 3 || i == 7;
    config.rows[i] = static_cast<uint8_t>(weights ? kTileRows : second ? second_rows : first_rows);
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

LINNET_TARGET inline void Prefetch(const std::byte* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from + i), _MM_HINT_T1);
  }
}

// The chunks of a tile: whole ones where they stand, the last one from a copy padded with zeros.
struct Chunks {
  size_t whole;
  bool part;
  alignas(64) std::byte padded[kChunkBytes];

  explicit Chunks(const Tile& tile)
      : whole(tile.inputs / kChunkInputs), part(tile.inputs % kChunkInputs != 0) {
    if (!part) return;
    const size_t bytes = (tile.inputs % kChunkInputs + 1) / 2 * kPanelStride;
    std::memcpy(padded, tile.panel + whole * kChunkBytes, bytes);
    std::memset(padded + bytes, 0, kChunkBytes - bytes);
  }
  size_t count() const { return whole + part; }
  const std::byte* At(const Tile& tile, size_t chunk) const {
    return chunk < whole ? tile.panel + chunk * kChunkBytes : padded;
  }
};

// Up to 16 rows, all 64 outputs at once.
LINNET_TARGET void FewRows(const Tile& tile, const Chunks& chunks, const std::byte* x, float* y,
                           const std::byte* ahead, size_t ahead_step) {
  const long y_stride = static_cast<long>(tile.y_stride * sizeof(float));
  const long x_stride = static_cast<long>(tile.x_stride);
  if (tile.first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, y, y_stride);
    _tile_loadd(1, y + 16, y_stride);
    _tile_loadd(2, y + 32, y_stride);
    _tile_loadd(3, y + 48, y_stride);
  }
  for (size_t chunk = 0; chunk < chunks.count(); ++chunk, x += 64, ahead += ahead_step) {
    const std::byte* w = chunks.At(tile, chunk);
    Prefetch(ahead, ahead_step);
    _tile_loadd(6, x, x_stride);
    _tile_loadd(4, w, kPanelStride);
    _tile_dpbf16ps(0, 6, 4);
    _tile_loadd(5, w + 64, kPanelStride);
    _tile_dpbf16ps(1, 6, 5);
    _tile_loadd(4, w + 128, kPanelStride);
    _tile_dpbf16ps(2, 6, 4);
    _tile_loadd(5, w + 192, kPanelStride);
    _tile_dpbf16ps(3, 6, 5);
  }
  _tile_stored(0, y, y_stride);
  _tile_stored(1, y + 16, y_stride);
  _tile_stored(2, y + 32, y_stride);
  _tile_stored(3, y + 48, y_stride);
}

// 17 to 32 rows, 32 outputs from `output` on: each tile that is loaded is used twice.
LINNET_TARGET void ManyRows(const Tile& tile, const Chunks& chunks, const std::byte* x, float* y,
                            size_t output, const std::byte* ahead, size_t ahead_step) {
  const long y_stride = static_cast<long>(tile.y_stride * sizeof(float));
  const long x_stride = static_cast<long>(tile.x_stride);
  float *top = y + output, *bottom = top + kTileRows * tile.y_stride;
  if (tile.first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, top, y_stride);
    _tile_loadd(1, top + 16, y_stride);
    _tile_loadd(2, bottom, y_stride);
    _tile_loadd(3, bottom + 16, y_stride);
  }
  for (size_t chunk = 0; chunk < chunks.count(); ++chunk, x += 64, ahead += ahead_step) {
    const std::byte* w = chunks.At(tile, chunk) + output * 4;
    Prefetch(ahead, ahead_step);
    _tile_loadd(6, x, x_stride);
    _tile_loadd(4, w, kPanelStride);
    _tile_dpbf16ps(0, 6, 4);
    _tile_loadd(5, w + 64, kPanelStride);
    _tile_dpbf16ps(1, 6, 5);
    _tile_loadd(7, x + kTileRows * tile.x_stride, x_stride);
    _tile_dpbf16ps(2, 7, 4);
    _tile_dpbf16ps(3, 7, 5);
  }
  _tile_stored(0, top, y_stride);
  _tile_stored(1, top + 16, y_stride);
  _tile_stored(2, bottom, y_stride);
  _tile_stored(3, bottom + 16, y_stride);
}

LINNET_TARGET void TileOf(const Tile& tile) {
  const Chunks chunks(tile);
  __asm__ volatile("" : : : "memory");  // the intrinsics do not say what they read and write
  const size_t sweeps = tile.rows <= kTileRows ? 1 : (tile.rows + 31) / 32 * 2;
  const size_t ahead_step = (tile.prefetch_bytes / sweeps / chunks.count() + 63) / 64 * 64;
  const std::byte* ahead = tile.prefetch;
  size_t configured = 0;
  for (size_t row = 0; row < tile.rows; row += 2 * kTileRows) {
    const size_t rows = std::min(2 * kTileRows, tile.rows - row);
    const std::byte* x = tile.x + row * tile.x_stride;
    float* y = tile.y + row * tile.y_stride;
    if (rows <= kTileRows) {
      Configure(rows, rows);
      FewRows(tile, chunks, x, y, ahead, ahead_step);
      break;
    }
    if (configured != rows) Configure(kTileRows, rows - kTileRows);
    configured = rows;
    for (const size_t output : {0, 32}) {
      ManyRows(tile, chunks, x, y, output, ahead, ahead_step);
      ahead += chunks.count() * ahead_step;
    }
  }
  _tile_release();
  __asm__ volatile("" : : : "memory");
}

}  // namespace

const TileKernels& AmxTiles() {
  static constexpr TileKernels kKernels = {512, 16, 2048, TileOf, nullptr, nullptr, 0, nullptr};
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
