// bf16 dot products with x86 intrinsics: Highway 1.0.3 has none.
#include "kernels/tiles.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define LINNET_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace linnet {
namespace {

constexpr size_t kPairBytes = 256;  // one step of a panel: a pair of inputs of 64 outputs

// With a few rows, prefetches the next weights into L1: AMD's cores, the only ones that run this by
// default, return those sooner. With more rows, prefetches the next panel, which is used after all
// of them.
template <bool kSoon>
LINNET_TARGET inline void Prefetch(const std::byte* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from + i), kSoon ? _MM_HINT_T0 : _MM_HINT_T1);
  }
}

template <size_t kRows, size_t kPanels>
LINNET_TARGET void RowsOf(const Tile& tile) {
  constexpr size_t kVectors = 4 * kPanels;  // of 16 outputs
  constexpr size_t kAhead = PrefetchBytes(kRows, kPairBytes);
  const std::byte* x[kRows];
  __m512 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
    x[r] = tile.x + r * tile.x_stride;
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      sum[r][v] =
          tile.first ? _mm512_setzero_ps() : _mm512_loadu_ps(tile.y + r * tile.y_stride + v * 16);
    }
  }
  const size_t pairs = (tile.inputs + 1) / 2;
  const std::byte *step = tile.panel, *ahead = tile.prefetch;
  const std::byte* const end = ahead + tile.prefetch_bytes;
  for (size_t pair = 0; pair < pairs; ++pair, step += kPairBytes) {
    if (ahead < end) {
      constexpr bool kSoon = kPanels == 2;
      Prefetch<kSoon>(ahead, kAhead);
      if constexpr (kPanels == 2) Prefetch<kSoon>(ahead + tile.panel_stride, kAhead);
      ahead += kAhead;
    }
    __m512i broadcast[kRows];
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      broadcast[r] = _mm512_set1_epi32(reinterpret_cast<const int*>(x[r])[pair]);
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      const __m512i w = _mm512_loadu_si512(step + (v < 4 ? 0 : tile.panel_stride) + v % 4 * 64);
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) {
        sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)w, (__m512bh)broadcast[r]);
      }
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      _mm512_storeu_ps(tile.y + r * tile.y_stride + v * 16, sum[r][v]);
    }
  }
}

void TileOf(const Tile& tile) {
  static constexpr TileFunction kByRows[] = {RowsOf<1, 1>, RowsOf<2, 1>, RowsOf<3, 1>,
                                             RowsOf<4, 1>, RowsOf<5, 1>, RowsOf<6, 1>};
  kByRows[tile.rows - 1](tile);
}

void PairOf(const Tile& tile) {
  static constexpr TileFunction kByRows[] = {RowsOf<1, 2>, RowsOf<2, 2>, RowsOf<3, 2>};
  kByRows[tile.rows - 1](tile);
}

}  // namespace

const TileKernels& Bf16Tiles() {
  static constexpr TileKernels kKernels = {.max_rows = 6,
                                           .few_rows = 6,
                                           .whole_inputs = 3072,
                                           .packed = TileOf,
                                           .unpack_rows = 0,
                                           .unpack = nullptr,
                                           .unpacked = nullptr,
                                           .pair_rows = 3,
                                           .pairs = PairOf,
                                           .inputs = 1024};
  return kKernels;
}

}  // namespace linnet

#else

#include "base/check.h"

namespace linnet {
const TileKernels& Bf16Tiles() {
  LINNET_CHECK(false);
  return ExactTiles(DType::kBF16);
}
}  // namespace linnet

#endif
