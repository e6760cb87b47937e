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
constexpr size_t kChunkInputs = 32, kChunkBytes = 16 * kPairBytes, kTileRows = 16;

// Chunks whose rows and weights stay in L2 for all rows, and chunks of 32 rows that stay in L1 for
// both halves of the panel. Sums stay in registers meanwhile: loading and storing them in L2 every
// few chunks costs more than reading both operands from there.
constexpr size_t kMostChunks = 64, kNearChunks = 16, kFewChunks = 2 * kNearChunks;

struct alignas(64) Config {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};
};

// Registers 0 and 1 are sums of the first rows, 2 and 3 of the second; 4 and 5 are weights, 6 and 7
// activations of the first and second rows.
LINNET_TARGET void Configure(size_t rows) {
  const auto first = static_cast<uint8_t>(std::min(rows, kTileRows));
  const auto second = static_cast<uint8_t>(rows > kTileRows ? rows - kTileRows : kTileRows);
  Config config;
  for (const size_t i : {0, 1, 6}) config.rows[i] = first;
  for (const size_t i : {2, 3, 7}) config.rows[i] = second;
  for (const size_t i : {4, 5}) config.rows[i] = kTileRows;
  __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
}

// Chunks of a panel; `rest` replaces an incomplete last one, if there is one.
struct Chunks {
  const std::byte *panel, *rest;
  size_t whole;

  const std::byte* At(size_t chunk) const {
    return chunk < whole ? panel + chunk * kChunkBytes : rest;
  }
};

// Prefetches the next panel, a few lines per chunk: all at once would fill the memory queue.
class Prefetcher {
 public:
  Prefetcher(const std::byte* next, size_t chunks, size_t groups)
      : next_(next),
        end_(next + chunks * kChunkBytes),
        step_((2 * kTileRows + groups - 1) / groups) {}

  // Call before a group of 32 rows.
  void Group() {
    if (next_ >= end_) step_ = 0;
  }

  LINNET_TARGET inline void Chunk() {
    for (size_t i = 0; i < step_; ++i) {
      _mm_prefetch(reinterpret_cast<const char*>(next_ + i * 64), _MM_HINT_T1);
    }
    next_ += step_ * 64;
  }

 private:
  const std::byte *next_, *end_;
  size_t step_;  // lines per chunk
};

// Four tiles of sums: 16 by 16 outputs of the first rows and of the second.
struct Sums {
  float* at[4];
  size_t stride;  // bytes

  static Sums In(float* y, size_t stride) {
    float* y2 = y + kTileRows * stride;
    return {{y, y + 16, y2, y2 + 16}, stride * sizeof(float)};
  }
};

// Half of the outputs of chunks [begin, end) for up to 32 rows: starts at zero or at `from`, writes
// to `to`.
template <bool kSecond>
LINNET_TARGET inline void Group(const Chunks& w, size_t half, size_t begin, size_t end,
                                const std::byte* x, size_t x_stride, const Sums* from,
                                const Sums& to, Prefetcher& prefetcher) {
  Prefetcher ahead = prefetcher;  // in registers
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
  for (size_t chunk = begin; chunk < end; ++chunk, x += 64, x2 += 64) {
    const std::byte* at = w.At(chunk) + half * 128;
    _tile_loadd(4, at, kPairBytes);
    _tile_loadd(6, x, x_stride);
    _tile_loadd(5, at + 64, kPairBytes);
    ahead.Chunk();
    _tile_dpbf16ps(0, 6, 4);
    _tile_dpbf16ps(1, 6, 5);
    if constexpr (kSecond) {
      _tile_loadd(7, x2, x_stride);
      _tile_dpbf16ps(2, 7, 4);
      _tile_dpbf16ps(3, 7, 5);
    }
  }
  prefetcher = ahead;
  _tile_stored(0, to.at[0], to.stride);
  _tile_stored(1, to.at[1], to.stride);
  if constexpr (kSecond) {
    _tile_stored(2, to.at[2], to.stride);
    _tile_stored(3, to.at[3], to.stride);
  }
}

// Finished sums of 32 outputs that still go to y: one step later, so that no store waits for the
// tile unit.
struct Finished {
  alignas(64) float sums[2][2 * kTileRows][32];
  size_t next = 0;
  Mat<float> y[2];  // destinations

  LINNET_TARGET void Flush(size_t which, bool add) {
    const Mat<float> to = y[which];
    if (add && to.cols == 32) return AddAll(sums[which][0], to, &y[which]);
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

  LINNET_TARGET static void AddAll(const float* from, const Mat<float>& to, Mat<float>* done) {
    for (size_t row = 0; row < to.rows; ++row, from += 32) {
      float* out = to.Row(row);
      const __m512 a = _mm512_add_ps(_mm512_loadu_ps(out), _mm512_load_ps(from));
      const __m512 b = _mm512_add_ps(_mm512_loadu_ps(out + 16), _mm512_load_ps(from + 16));
      _mm512_storeu_ps(out, a);
      _mm512_storeu_ps(out + 16, b);
    }
    done->rows = 0;
  }
};

struct Product {
  // The large members are not initialized.
  Product(const Activations& rows, const PanelOutputs& outputs, const Chunks& weights,
          const Prefetcher& prefetcher)
      : x(rows), out(outputs), w(weights), ahead(prefetcher) {}

  const Activations& x;
  const PanelOutputs& out;
  const Chunks w;
  Prefetcher ahead;
  Finished finished;

  // Chunks [begin, end) of the panel for all rows.
  LINNET_TARGET void Block(size_t begin, size_t end, bool first, bool last) {
    __asm__ volatile("" : : : "memory");  // the intrinsics do not declare their memory accesses
    const size_t chunks = end - begin;
    const size_t parts = chunks <= kFewChunks ? (chunks + kNearChunks - 1) / kNearChunks : 1;
    for (size_t row = 0; row < x.rows; row += 2 * kTileRows) {
      const size_t rows = std::min<size_t>(2 * kTileRows, x.rows - row);
      if (row == 0 || rows < 2 * kTileRows) Configure(rows);
      for (size_t part = 0; part < parts; ++part) {
        const size_t from = begin + chunks * part / parts, to = begin + chunks * (part + 1) / parts;
        const bool ends = last && part + 1 == parts;
        ahead.Group();
        for (size_t half = 0; half < 2; ++half) {
          Half(half, row, rows, from, to, first && part == 0, ends);
        }
      }
    }
    __asm__ volatile("" : : : "memory");
  }

 private:
  LINNET_TARGET inline void Half(size_t half, size_t row, size_t rows, size_t begin, size_t end,
                                 bool first, bool last) {
    const Sums waiting = Sums::In(out.scratch + row * kPanelRows + half * 32, kPanelRows);
    const size_t slot = finished.next;
    const size_t column = half * 32, cols = out.y.cols > column ? out.y.cols - column : 0;
    const bool direct = last && !out.add && cols >= 32;
    const Sums to = direct ? Sums::In(out.y.Row(row) + column, out.y.stride)
                    : last ? Sums::In(finished.sums[slot][0], 32)
                           : waiting;
    const auto group = rows > kTileRows ? Group<true> : Group<false>;
    group(w, half, begin, end, x.data + begin * 64 + row * x.stride, x.stride,
          first ? nullptr : &waiting, to, ahead);
    if (!last || direct) return;
    finished.y[slot] = out.y.Rows(row, rows).Columns(column, std::min<size_t>(cols, 32));
    finished.next = 1 - slot;
    finished.Flush(finished.next, out.add);
  }
};

// Copies the pairs of inputs of an incomplete chunk and pads with zeros: the bytes behind it belong
// to another panel, and 0 times an infinity in it would be NaN.
void CopyPartial(const std::byte* from, size_t inputs, std::byte* chunk) {
  const size_t bytes = (inputs + 1) / 2 * kPairBytes;
  std::memcpy(chunk, from, bytes);
  std::memset(chunk + bytes, 0, kChunkBytes - bytes);
}

}  // namespace

LINNET_TARGET void AmxProduct(const Activations& x, const std::byte* panel, size_t inputs,
                              const PanelOutputs& out) noexcept {
  alignas(64) std::byte part[kChunkBytes];
  const size_t whole = inputs / kChunkInputs, rest = inputs % kChunkInputs;
  if (rest != 0) CopyPartial(panel + whole * kChunkBytes, rest, part);
  const size_t chunks = whole + (rest != 0);
  const size_t blocks = (chunks + kMostChunks - 1) / kMostChunks;
  const size_t groups = (x.rows + 31) / 32;
  Product p(x, out, {panel, part, whole}, Prefetcher(out.next, chunks, groups));
  for (size_t block = 0; block < blocks; ++block) {
    p.Block(chunks * block / blocks, chunks * (block + 1) / blocks, block == 0,
            block + 1 == blocks);
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
