#include "kernels/amx_product.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#define LINNET_TARGET __attribute__((target("avx512f,amx-tile,amx-bf16")))

namespace linnet {
namespace {

constexpr size_t kPairBytes = 256;  // a pair of inputs of a panel
constexpr size_t kChunkInputs = 32, kTileBytes = 1024, kTileRows = 16;

// The unit wants a kilobyte in the 16 cycles of a product; L2 gives about half of that. So half a
// panel of so many chunks lies in L1, as whole tiles, while all rows pass by: 12 KB, which leaves
// room for the rows and where sums go. Of 4 to 24 chunks, 6 were fastest; with both halves at once
// it was slower.
constexpr size_t kMostChunks = 6;

struct alignas(64) Config {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};
};

// Registers 0 and 1 are sums of the first rows, 2 and 3 of the second, 4 and 5 weights, 6 and 7
// activations of the first and the second rows.
LINNET_TARGET void Configure(size_t rows) {
  const auto first = static_cast<uint8_t>(std::min(rows, kTileRows));
  const auto second = static_cast<uint8_t>(rows > kTileRows ? rows - kTileRows : kTileRows);
  Config config;
  for (const size_t i : {0, 1, 6}) config.rows[i] = first;
  for (const size_t i : {2, 3, 7}) config.rows[i] = second;
  for (const size_t i : {4, 5}) config.rows[i] = kTileRows;
  __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

// Half of the outputs of some chunks of a panel, tile by tile.
struct alignas(64) HalfPanel {
  std::byte tiles[2][kMostChunks][kTileBytes];

  LINNET_TARGET void Copy(const std::byte* panel, size_t half, size_t inputs) {
    const size_t pairs = (inputs + 1) / 2, padded = (pairs + 15) / 16 * 16;
    panel += half * 128;
    for (size_t pair = 0; pair < pairs; ++pair, panel += kPairBytes) {
      _mm512_store_si512(At(0, pair), _mm512_loadu_si512(panel));
      _mm512_store_si512(At(1, pair), _mm512_loadu_si512(panel + 64));
    }
    for (size_t pair = pairs; pair < padded; ++pair) {
      std::memset(At(0, pair), 0, 64);
      std::memset(At(1, pair), 0, 64);
    }
  }

 private:
  std::byte* At(size_t side, size_t pair) {
    return tiles[side][pair / kTileRows] + pair % kTileRows * 64;
  }
};

// What comes next, a few lines beside every chunk: all at once would fill the queue to memory.
class Prefetcher {
 public:
  Prefetcher(const PanelOutputs& out, size_t chunks, size_t groups)
      : next_(out.next),
        end_(out.next + chunks * kTileRows * kPairBytes),
        step_((2 * kTileRows + groups - 1) / groups),
        y_stride_(out.y.stride * sizeof(float)) {}

  // Before a group of 32 rows from `row` on: whether to fetch where their sums will go.
  void Rows(const PanelOutputs& out, size_t row, bool fetch, size_t chunks) {
    if (next_ >= end_) step_ = 0;
    y_ = reinterpret_cast<const std::byte*>(out.y.Row(row));
    y_rows_ = fetch ? (2 * kTileRows + chunks - 1) / chunks : 0;
  }

  LINNET_TARGET inline void Chunk() {
    for (size_t i = 0; i < step_; ++i) Fetch(next_ + i * 64);
    next_ += step_ * 64;
    for (size_t i = 0; i < y_rows_; ++i, y_ += y_stride_) {
      for (size_t j = 0; j < kPairBytes; j += 64) Fetch(y_ + j);
    }
  }

 private:
  LINNET_TARGET static inline void Fetch(const std::byte* line) {
    _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T1);
  }

  const std::byte *next_, *end_;
  size_t step_;  // lines a chunk
  const std::byte* y_ = nullptr;
  size_t y_stride_, y_rows_ = 0;  // rows a chunk, four lines each
};

// Four tiles of sums: 16 by 16 outputs of the first rows, of the second.
struct Sums {
  float* at[4];
  size_t stride;  // bytes

  static Sums In(float* y, size_t stride) {
    float* y2 = y + kTileRows * stride;
    return {{y, y + 16, y2, y2 + 16}, stride * sizeof(float)};
  }
};

// 32 outputs of up to 32 rows: from zero or from `from`, to `to`.
template <bool kSecond>
LINNET_TARGET inline void Group(const HalfPanel& w, size_t chunks, const std::byte* x,
                                size_t x_stride, const Sums* from, const Sums& to,
                                Prefetcher& ahead) {
  if (from == nullptr) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kSecond) {
      _tile_zero(2);
      _tile_zero(3);
    }
  } else {
    _tile_loadd(0, from->at[0], from->stride);
    _tile_loadd(1, from->at[1], from->stride);
    if constexpr (kSecond) {
      _tile_loadd(2, from->at[2], from->stride);
      _tile_loadd(3, from->at[3], from->stride);
    }
  }
  const std::byte* x2 = x + kTileRows * x_stride;
  for (size_t chunk = 0; chunk < chunks; ++chunk, x += 64, x2 += 64) {
    _tile_loadd(4, w.tiles[0][chunk], 64);
    _tile_loadd(6, x, x_stride);
    _tile_loadd(5, w.tiles[1][chunk], 64);
    ahead.Chunk();
    _tile_dpbf16ps(0, 6, 4);
    _tile_dpbf16ps(1, 6, 5);
    if constexpr (kSecond) {
      _tile_loadd(7, x2, x_stride);
      _tile_dpbf16ps(2, 7, 4);
      _tile_dpbf16ps(3, 7, 5);
    }
  }
  _tile_stored(0, to.at[0], to.stride);
  _tile_stored(1, to.at[1], to.stride);
  if constexpr (kSecond) {
    _tile_stored(2, to.at[2], to.stride);
    _tile_stored(3, to.at[3], to.stride);
  }
}

// Finished sums of 32 outputs, on their way to y: one step late, so that nothing waits for the
// tile unit.
struct Finished {
  alignas(64) float sums[2][2 * kTileRows][32];
  size_t next = 0;
  Mat<float> y[2];  // where each goes

  LINNET_TARGET void Flush(size_t which, bool add) {
    const Mat<float> to = y[which];
    const auto mask = [&](size_t begin) {
      const size_t n = to.cols > begin ? std::min<size_t>(to.cols - begin, 16) : 0;
      return static_cast<__mmask16>((1u << n) - 1);
    };
    const __mmask16 low = mask(0), high = mask(16);
    for (size_t row = 0; row < to.rows; ++row) {
      float* out = to.Row(row);
      __m512 a = _mm512_load_ps(sums[which][row]), b = _mm512_load_ps(sums[which][row] + 16);
      if (add) {
        a = _mm512_add_ps(_mm512_maskz_loadu_ps(low, out), a);
        b = _mm512_add_ps(_mm512_maskz_loadu_ps(high, out + 16), b);
      }
      _mm512_mask_storeu_ps(out, low, a);
      _mm512_mask_storeu_ps(out + 16, high, b);
    }
    y[which].rows = 0;
  }
};

struct Product {
  // The large members stay uninitialized.
  Product(const Activations& rows, const PanelOutputs& outputs, const Prefetcher& prefetcher)
      : x(rows), out(outputs), ahead(prefetcher) {}

  const Activations& x;
  const PanelOutputs& out;
  Prefetcher ahead;
  HalfPanel w;
  Finished finished;

  // One half of some chunks of the panel for all rows.
  LINNET_TARGET void Half(size_t half, size_t begin, size_t end, bool first, bool last) {
    __asm__ volatile("" : : : "memory");  // the intrinsics do not say what they read and write
    for (size_t row = 0; row < x.rows; row += 2 * kTileRows) {
      const size_t rows = std::min<size_t>(2 * kTileRows, x.rows - row);
      if (row == 0 || rows < 2 * kTileRows) Configure(rows);
      const Sums waiting = Sums::In(out.scratch + row * kPanelRows + half * 32, kPanelRows);
      const size_t slot = finished.next;
      const Sums& to = last ? Sums::In(finished.sums[slot][0], 32) : waiting;
      ahead.Rows(out, row, last && half == 0 && rows == 2 * kTileRows, end - begin);
      const auto group = rows > kTileRows ? Group<true> : Group<false>;
      group(w, end - begin, x.data + begin * 64 + row * x.stride, x.stride,
            first ? nullptr : &waiting, to, ahead);
      if (!last) continue;
      const size_t column = half * 32, cols = out.y.cols > column ? out.y.cols - column : 0;
      finished.y[slot] = out.y.Rows(row, rows).Columns(column, std::min<size_t>(cols, 32));
      finished.next = 1 - slot;
      finished.Flush(finished.next, out.add);
    }
    __asm__ volatile("" : : : "memory");
  }
};

}  // namespace

LINNET_TARGET void AmxProduct(const Activations& x, const std::byte* panel, size_t inputs,
                              const PanelOutputs& out) noexcept {
  const size_t chunks = (inputs + kChunkInputs - 1) / kChunkInputs;
  const size_t blocks = (chunks + kMostChunks - 1) / kMostChunks;
  const size_t groups = (x.rows + 31) / 32;
  Product p(x, out, Prefetcher(out, chunks, groups));
  for (size_t block = 0; block < blocks; ++block) {
    const size_t begin = chunks * block / blocks, end = chunks * (block + 1) / blocks;
    const size_t k = begin * kChunkInputs;
    for (size_t half = 0; half < 2; ++half) {
      p.w.Copy(panel + k / 2 * kPairBytes, half, std::min(inputs, end * kChunkInputs) - k);
      p.Half(half, begin, end, block == 0, block + 1 == blocks);
    }
  }
  p.finished.Flush(1 - p.finished.next, out.add);
  _tile_release();
}

}  // namespace linnet

#else

#include "base/check.h"

namespace linnet {
void AmxProduct(const Activations&, const std::byte*, size_t, const PanelOutputs&) noexcept {
  LINNET_CHECK(false);
}
}  // namespace linnet

#endif
