// bf16 products of a few rows in the order of AMX, by vector multiply-adds.
//
// The tile unit loads weights as tiles, which stall on memory longer than vectors that are
// prefetched. Its arithmetic is known to the bit: the even inputs of a chunk are summed from zero
// in order by fused multiply-adds, the odd ones separately, then even + odd is added to the output;
// denormals are flushed to zero, and rounding is to nearest.
#include "kernels/tiles.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>

#define LINNET_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

namespace linnet {
namespace {

constexpr size_t kPairBytes = 256;  // a pair of inputs of a panel
constexpr size_t kChunkPairs = 16;  // of inputs
constexpr size_t kVectors = 4;      // of 16 outputs of a panel

// Handles denormals as the unit does while in scope.
class NoDenormals {
 public:
  NoDenormals() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80 | 0x8040); }
  ~NoDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
};

// The first bf16 of each pair, as the bits of an f32. With the plain shift GCC 12 warns about an
// uninitialized operand in its own header.
LINNET_TARGET inline __m512i FirstOfPairs(__m512i pairs) {
  return _mm512_maskz_slli_epi32(0xffff, pairs, 16);
}

// The inputs of some rows of a chunk, as f32.
template <size_t kRows>
struct Inputs {
  alignas(64) float even[kRows][kChunkPairs], odd[kRows][kChunkPairs];

  LINNET_TARGET inline void Load(const std::byte* x, size_t stride) {
    const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000));
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const __m512i pairs = _mm512_loadu_si512(x + r * stride);
      _mm512_store_si512(even[r], FirstOfPairs(pairs));
      _mm512_store_si512(odd[r], _mm512_and_si512(pairs, high));
    }
  }
};

// Adds a chunk of `pairs` pairs of one panel to the sums. Each line is prefetched kAhead bytes,
// half a chunk, before it is read; `skip` is the distance between this chunk and the next.
constexpr size_t kAhead = kChunkPairs * kPairBytes / 2;
template <size_t kRows>
LINNET_TARGET inline void AddChunk(const Inputs<kRows>& x, const std::byte* panel, size_t pairs,
                                   size_t skip, __m512 (&sum)[kRows][kVectors]) {
  // As many vectors at once as their sums leave registers for.
  constexpr size_t kWide = kRows == 1 ? 4 : kRows <= 3 ? 2 : 1;
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000));
#pragma GCC unroll 4
  for (size_t at = 0; at < kVectors; at += kWide) {
    __m512 even[kRows][kWide], odd[kRows][kWide];
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kWide; ++v) even[r][v] = odd[r][v] = _mm512_setzero_ps();
    }
    const std::byte* step = panel + at * 64;
    for (size_t pair = 0; pair < pairs; ++pair, step += kPairBytes) {
      const size_t ahead = pair < kChunkPairs / 2 ? kAhead : kAhead + skip;
#pragma GCC unroll 4
      for (size_t v = 0; v < kWide; ++v) {
        _mm_prefetch(reinterpret_cast<const char*>(step + v * 64 + ahead), _MM_HINT_T1);
        const __m512i w = _mm512_loadu_si512(step + v * 64);
        const __m512 w_even = _mm512_castsi512_ps(FirstOfPairs(w));
        const __m512 w_odd = _mm512_castsi512_ps(_mm512_and_si512(w, high));
#pragma GCC unroll 8
        for (size_t r = 0; r < kRows; ++r) {
          even[r][v] = _mm512_fmadd_ps(_mm512_set1_ps(x.even[r][pair]), w_even, even[r][v]);
          odd[r][v] = _mm512_fmadd_ps(_mm512_set1_ps(x.odd[r][pair]), w_odd, odd[r][v]);
        }
      }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kWide; ++v) {
        if (pairs < kChunkPairs) {  // the unit continues with zeros, and -0 + 0 is 0
          even[r][v] = _mm512_add_ps(even[r][v], _mm512_setzero_ps());
          odd[r][v] = _mm512_add_ps(odd[r][v], _mm512_setzero_ps());
        }
        sum[r][at + v] = _mm512_add_ps(sum[r][at + v], _mm512_add_ps(even[r][v], odd[r][v]));
      }
    }
  }
}

template <size_t kRows, size_t kPanels>
LINNET_TARGET void RowsOf(const Tile& tile) {
  const NoDenormals mode;
  __m512 sum[kPanels][kRows][kVectors];
#pragma GCC unroll 2
  for (size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) {
        const float* y = tile.y + r * tile.y_stride + p * kPanelRows + v * 16;
        sum[p][r][v] = tile.first ? _mm512_setzero_ps() : _mm512_loadu_ps(y);
      }
    }
  }
  const size_t pairs = (tile.inputs + 1) / 2;
  const std::byte *x = tile.x, *panel = tile.panel;
  for (size_t pair = 0; pair < pairs; pair += kChunkPairs, x += 64) {
    Inputs<kRows> inputs;
    inputs.Load(x, tile.x_stride);
    const size_t count = std::min(kChunkPairs, pairs - pair);
    // After the last chunk of two panels come the next two panels.
    const size_t skip = kPanels == 2 && pair + kChunkPairs >= pairs ? tile.panel_stride : 0;
#pragma GCC unroll 2
    for (size_t p = 0; p < kPanels; ++p) {
      AddChunk(inputs, panel + p * tile.panel_stride, count, skip, sum[p]);
    }
    panel += kChunkPairs * kPairBytes;
  }
#pragma GCC unroll 2
  for (size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) {
        _mm512_storeu_ps(tile.y + r * tile.y_stride + p * kPanelRows + v * 16, sum[p][r][v]);
      }
    }
  }
}

// The pairs of a chunk of a row that are not zero, one bit each.
LINNET_TARGET inline uint32_t UsedPairs(const std::byte* x) {
  return _mm512_test_epi32_mask(_mm512_loadu_si512(x), _mm512_set1_epi32(0x7fff7fff));
}

// Whether so many pairs are zero that skipping them gains more than sequential reads do. Measured:
// the break-even is at half of them.
LINNET_TARGET bool IsSparse(const Tile& tile) {
  constexpr size_t kZerosPercent = 55;
  const size_t pairs = (tile.inputs + 1) / 2;
  int used = 0;
  for (size_t pair = 0; pair < pairs; pair += kChunkPairs) {
    used += __builtin_popcount(UsedPairs(tile.x + pair * 4));
  }
  return 100 * static_cast<size_t>(used) <= (100 - kZerosPercent) * pairs;
}

// One row and two panels: pairs of zeros are skipped. With finite weights they would only add zeros
// to the even and odd sums. If that turns a -0 into 0, the output gets the same bits, since it is
// never -0 itself.
LINNET_TARGET void SparsePair(const Tile& tile) {
  const NoDenormals mode;
  constexpr size_t kChunkBytes = kChunkPairs * kPairBytes;
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  const size_t stride = tile.panel_stride;
  const size_t chunks = (tile.inputs + 2 * kChunkPairs - 1) / (2 * kChunkPairs);
  // Rows of x are padded with zeros to whole chunks, so inputs beyond the panel are not read.
  __m512 sum[2][kVectors];
#pragma GCC unroll 2
  for (size_t p = 0; p < 2; ++p) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) sum[p][v] = _mm512_setzero_ps();
  }
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const std::byte* x = tile.x + chunk * 64;
    const std::byte* weights = tile.panel + chunk * kChunkBytes;
    const bool last = chunk + 1 == chunks;
    const std::byte* next = last ? tile.panel + 2 * stride : weights + kChunkBytes;
    for (uint32_t used = UsedPairs(last ? tile.x : x + 64); used != 0; used &= used - 1) {
      const std::byte* pair = next + static_cast<size_t>(__builtin_ctz(used)) * kPairBytes;
#pragma GCC unroll 4
      for (size_t line = 0; line < kPairBytes; line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(pair + line), _MM_HINT_T1);
        _mm_prefetch(reinterpret_cast<const char*>(pair + stride + line), _MM_HINT_T1);
      }
    }
    Inputs<1> inputs;
    inputs.Load(x, 0);
    const uint32_t used_here = UsedPairs(x);
#pragma GCC unroll 2
    for (size_t p = 0; p < 2; ++p, weights += stride) {
      __m512 even[kVectors], odd[kVectors];
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) even[v] = odd[v] = _mm512_setzero_ps();
      for (uint32_t used = used_here; used != 0; used &= used - 1) {
        const auto pair = static_cast<size_t>(__builtin_ctz(used));
        const __m512 x_even = _mm512_set1_ps(inputs.even[0][pair]);
        const __m512 x_odd = _mm512_set1_ps(inputs.odd[0][pair]);
#pragma GCC unroll 4
        for (size_t v = 0; v < kVectors; ++v) {
          const __m512i w = _mm512_loadu_si512(weights + pair * kPairBytes + v * 64);
          even[v] = _mm512_fmadd_ps(x_even, _mm512_castsi512_ps(FirstOfPairs(w)), even[v]);
          odd[v] = _mm512_fmadd_ps(x_odd, _mm512_castsi512_ps(_mm512_and_si512(w, high)), odd[v]);
        }
      }
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) {
        sum[p][v] = _mm512_add_ps(sum[p][v], _mm512_add_ps(even[v], odd[v]));
      }
    }
  }
#pragma GCC unroll 2
  for (size_t p = 0; p < 2; ++p) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      _mm512_storeu_ps(tile.y + p * kPanelRows + v * 16, sum[p][v]);
    }
  }
}

}  // namespace

void AmxFewRows(const Tile& tile) {
  static constexpr TileFunction kByRows[] = {RowsOf<1, 1>, RowsOf<2, 1>, RowsOf<3, 1>,
                                             RowsOf<4, 1>, RowsOf<5, 1>, RowsOf<6, 1>,
                                             RowsOf<7, 1>, RowsOf<8, 1>};
  static_assert(std::size(kByRows) == kAmxFewRows);
  kByRows[tile.rows - 1](tile);
}

void AmxFewPairs(const Tile& tile) {
  if (tile.rows == 1 && tile.finite && IsSparse(tile)) return SparsePair(tile);
  static constexpr TileFunction kByRows[] = {RowsOf<1, 2>, RowsOf<2, 2>, RowsOf<3, 2>,
                                             RowsOf<4, 2>, RowsOf<5, 2>, RowsOf<6, 2>,
                                             RowsOf<7, 2>, RowsOf<8, 2>};
  static_assert(std::size(kByRows) == kAmxFewRows);
  kByRows[tile.rows - 1](tile);
}

}  // namespace linnet

#endif
