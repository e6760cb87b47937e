// int8 dot products on processors without VNNI, with AVX2. The integers of a block are exact, and
// blocks are added as in tiles_int8.cc, so the bits are those of all higher levels.
#include "kernels/tiles.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>

#include "kernels/blocks.h"
#include "kernels/int8_rows.h"

#define LINNET_DOTS __attribute__((target("avx2,fma,f16c")))

namespace linnet {
namespace {

constexpr size_t kVectorBytes = 32;  // 8 outputs of a quad
constexpr size_t kVectors = kQuadBytes / kVectorBytes;

LINNET_DOTS inline __m256i LoadBytes(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

// A quad of inputs of 8 outputs, as signed bytes and as their magnitudes.
struct SignedQuad {
  __m256i value, size;
};
LINNET_DOTS inline SignedQuad WithSize(__m256i bytes) { return {bytes, _mm256_abs_epi8(bytes)}; }

// sum += product. Inline assembly, since GCC 12 adds products first, and then has too few registers
// for the sums.
LINNET_DOTS inline void Accumulate(__m256i& sum, __m256i product) {
  asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(product));
}

// sum += dot products of quads. Products of magnitudes up to 128 by ones up to 127 do not saturate
// 16 bits in pairs.
LINNET_DOTS inline void AddDots(__m256i& sum, const SignedQuad& w, __m256i x) {
  const __m256i pairs = _mm256_maddubs_epi16(w.size, _mm256_sign_epi8(x, w.value));
  Accumulate(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// The quads of a step of a panel.
template <DType kFormat>
struct SignedQuads;

template <>
struct SignedQuads<DType::kI8> {
  static constexpr size_t kQuads = 1;
  LINNET_DOTS inline void Load(const std::byte* step, SignedQuad (&out)[1]) const {
    out[0] = WithSize(_mm256_xor_si256(LoadBytes(step), _mm256_set1_epi8(-128)));
  }
};

template <>
struct SignedQuads<DType::kNF4> {
  static constexpr size_t kQuads = 2;
  __m256i book;
  LINNET_DOTS inline SignedQuads() {
    alignas(16) int8_t bytes[16];
    for (size_t i = 0; i < 16; ++i) bytes[i] = static_cast<int8_t>(NF4Byte(i) - 128);
    book = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
  }
  LINNET_DOTS inline void Load(const std::byte* step, SignedQuad (&out)[2]) const {
    const __m256i codes = LoadBytes(step), low = _mm256_set1_epi8(15);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(codes, 4), low);
    out[0] = WithSize(_mm256_shuffle_epi8(book, _mm256_and_si256(codes, low)));
    out[1] = WithSize(_mm256_shuffle_epi8(book, high));
  }
};

LINNET_DOTS inline void Prefetch(const std::byte* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from + i), _MM_HINT_T0);
  }
}

// What is prefetched while a tile runs: a few bytes at each step, up to the end.
struct Ahead {
  const std::byte *at, *end;

  LINNET_DOTS inline void Fetch(size_t bytes) {
    if (at >= end) return;
    Prefetch(at, bytes);
    at += bytes;
  }
};

// Some rows of a tile at a block, with their sums in y.
template <size_t kRows>
struct RowsOfTile {
  const std::byte* x[kRows];
  const Int8Block* scales[kRows];
  float* y[kRows];

  RowsOfTile(const Tile& tile, size_t row, size_t block) {
    for (size_t r = 0; r < kRows; ++r) {
      const std::byte* from = tile.x + (row + r) * tile.x_stride;
      x[r] = from + block * kBlockInputs;
      scales[r] = Int8Blocks(from, tile.inputs) + block;
      y[r] = tile.y + (row + r) * tile.y_stride;
    }
  }
  void NextBlock() {
    for (size_t r = 0; r < kRows; ++r) {
      x[r] += kBlockInputs;
      ++scales[r];
    }
  }
};

template <size_t kTogether, size_t kRows>
LINNET_DOTS inline void SetZero(__m256i (&dot)[kRows][kTogether]) {
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kTogether; ++v) dot[r][v] = _mm256_setzero_si256();
  }
}

// Adds the integers of a block to the sums of some vectors of outputs.
template <size_t kTogether, size_t kRows>
LINNET_DOTS inline void AddScaled(const __m256i (&dot)[kRows][kTogether], const std::byte* halves,
                                  size_t vector, const RowsOfTile<kRows>& rows, bool first) {
#pragma GCC unroll 8
  for (size_t v = 0; v < kTogether; ++v) {
    const size_t output = (vector + v) * 8;
    const __m256 scale = _mm256_cvtph_ps(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + output * sizeof(uint16_t))));
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(rows.scales[r]->scale));
      const __m256 sum = first ? _mm256_setzero_ps() : _mm256_loadu_ps(rows.y[r] + output);
      _mm256_storeu_ps(rows.y[r] + output,
                       _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r][v]), both, sum));
    }
  }
}

// Adds a block to the sums of a few rows and all 64 outputs.
template <DType kFormat, size_t kRows>
LINNET_DOTS inline void AddBlock(const SignedQuads<kFormat>& quads, const std::byte* block,
                                 RowsOfTile<kRows>& rows, bool first, Ahead& ahead) {
  // As many as the registers hold, beside the weights.
  constexpr size_t kTogether = kRows == 1 ? 8 : kRows == 2 ? 4 : 2;
  constexpr size_t kQuads = SignedQuads<kFormat>::kQuads;
  const std::byte* halves = block + BlockWeightBytes(kFormat);
  for (size_t begin = 0; begin < kVectors; begin += kTogether) {
    __m256i dot[kRows][kTogether];
    SetZero(dot);
    const std::byte* step = block + begin * kVectorBytes;
    for (size_t k = 0; k < kBlockInputs; k += 4 * kQuads, step += kQuadBytes) {
      ahead.Fetch(kTogether * kVectorBytes);
#pragma GCC unroll 8
      for (size_t v = 0; v < kTogether; ++v) {
        SignedQuad w[kQuads];
        quads.Load(step + v * kVectorBytes, w);
#pragma GCC unroll 8
        for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
          for (size_t q = 0; q < kQuads; ++q) {
            const auto* at = reinterpret_cast<const int*>(rows.x[r] + k + 4 * q);
            AddDots(dot[r][v], w[q], _mm256_set1_epi32(*at));
          }
        }
      }
    }
    AddScaled<kTogether, kRows>(dot, halves, begin, rows, first);
  }
  rows.NextBlock();
}

// Some blocks of a panel, for a group of rows.
struct SomeBlocks {
  const Tile& tile;
  size_t row, block, blocks;  // the first row and block
  const std::byte* weights;   // the first block
  Ahead ahead;
  const std::byte* wide;  // the same, widened
};

// A few rows, with the weights as they are stored.
template <DType kFormat, size_t kRows>
LINNET_DOTS void AddFewRows(const SomeBlocks& some) {
  const SignedQuads<kFormat> quads;
  RowsOfTile<kRows> rows(some.tile, some.row, some.block);
  Ahead ahead = some.ahead;
  const std::byte* block = some.weights;
  for (size_t i = 0; i < some.blocks; ++i, block += BlockBytes(kFormat)) {
    AddBlock<kFormat>(quads, block, rows, some.block + i == 0, ahead);
    ahead.Fetch(kScaleBytes);
  }
}

// More rows share blocks that are widened to 16 bits, for which a product takes one instruction
// instead of three: pairs (0, 2) and (1, 3) of each quad of inputs, weights as [16][2][64] pairs,
// activations as [2][4][8].
constexpr size_t kNear = 2;  // blocks that stay in L1
constexpr size_t kPairBytes = kPanelRows * 4;
constexpr size_t kWideBytes = 2 * BlockWeightBytes(DType::kI8);

LINNET_DOTS inline __m256i Even(__m256i bytes) {
  return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
}
LINNET_DOTS inline __m256i Odd(__m256i bytes) { return _mm256_srai_epi16(bytes, 8); }
LINNET_DOTS inline void Store(__m256i bytes, std::byte* to) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), bytes);
}

template <DType kFormat>
LINNET_DOTS void Widen(const std::byte* block, std::byte* to) {
  using Reader = SignedQuads<kFormat>;
  const Reader quads;
  for (size_t k = 0; k < kBlockInputs; k += 4 * Reader::kQuads, block += kQuadBytes) {
    for (size_t at = 0; at < kQuadBytes; at += kVectorBytes) {
      SignedQuad w[Reader::kQuads];
      quads.Load(block + at, w);
      for (size_t q = 0; q < Reader::kQuads; ++q) {
        std::byte* pairs = to + 2 * q * kPairBytes + at;
        Store(Even(w[q].value), pairs);
        Store(Odd(w[q].value), pairs + kPairBytes);
      }
    }
    to += 2 * Reader::kQuads * kPairBytes;
  }
}

LINNET_DOTS inline void WidenInputs(const std::byte* x, std::byte* to) {
  for (size_t k = 0; k < kBlockInputs; k += kVectorBytes, to += 2 * kVectorBytes) {
    const __m256i quads = LoadBytes(x + k);
    Store(Even(quads), to);
    Store(Odd(quads), to + kVectorBytes);
  }
}

template <DType kFormat, size_t kRows>
LINNET_DOTS void AddManyRows(const SomeBlocks& some) {
  constexpr size_t kTogether = 2;
  RowsOfTile<kRows> rows(some.tile, some.row, some.block);
  Ahead ahead = some.ahead;
  for (size_t block = 0; block < some.blocks; ++block) {
    const bool first = some.block + block == 0;
    const std::byte* halves =
        some.weights + block * BlockBytes(kFormat) + BlockWeightBytes(kFormat);
    alignas(64) std::byte x[kRows][2 * kBlockInputs];
    for (size_t r = 0; r < kRows; ++r) WidenInputs(rows.x[r], x[r]);
    for (size_t begin = 0; begin < kVectors; begin += kTogether) {
      __m256i dot[kRows][kTogether];
      SetZero(dot);
      const std::byte* from = some.wide + block * kWideBytes + begin * kVectorBytes;
      for (size_t half = 0; half < 2; ++half) {
        ahead.Fetch(PrefetchBytes(kRows, kQuadBytes));
        for (size_t k = 0; k < 8; ++k, from += 2 * kPairBytes) {
#pragma GCC unroll 2
          for (size_t pair = 0; pair < 2; ++pair) {
            __m256i w[kTogether];
#pragma GCC unroll 8
            for (size_t v = 0; v < kTogether; ++v) {
              w[v] = LoadBytes(from + pair * kPairBytes + v * kVectorBytes);
            }
#pragma GCC unroll 8
            for (size_t r = 0; r < kRows; ++r) {
              const auto* at = reinterpret_cast<const int*>(x[r]) + 16 * half + 8 * pair + k;
              const __m256i inputs = _mm256_set1_epi32(*at);
#pragma GCC unroll 8
              for (size_t v = 0; v < kTogether; ++v) {
                Accumulate(dot[r][v], _mm256_madd_epi16(w[v], inputs));
              }
            }
          }
        }
      }
      AddScaled<kTogether, kRows>(dot, halves, begin, rows, first);
    }
    rows.NextBlock();
  }
}

using SomeBlocksFunction = void (*)(const SomeBlocks& some);
constexpr size_t kFewRows = 4, kManyRows = 6;
template <DType kFormat>
constexpr SomeBlocksFunction kAddFewRows[kFewRows] = {
    AddFewRows<kFormat, 1>, AddFewRows<kFormat, 2>, AddFewRows<kFormat, 3>, AddFewRows<kFormat, 4>};
template <DType kFormat>
constexpr SomeBlocksFunction kAddManyRows[kManyRows] = {
    AddManyRows<kFormat, 1>, AddManyRows<kFormat, 2>, AddManyRows<kFormat, 3>,
    AddManyRows<kFormat, 4>, AddManyRows<kFormat, 5>, AddManyRows<kFormat, 6>};

// For so many rows widening pays. Measured: nf4 is decoded anyway.
template <DType kFormat>
constexpr size_t kWidenRows = kFormat == DType::kI8 ? 25 : kFewRows + 1;

// All rows, some blocks at a time; a few rows read the whole panel at once.
template <DType kFormat>
void TileOf(const Tile& tile) {
  const size_t blocks = Blocks(tile.inputs), bytes = BlockBytes(kFormat);
  const std::byte* const end = tile.prefetch + tile.prefetch_bytes;
  if (tile.rows <= kFewRows) {
    const SomeBlocks all{tile, 0, 0, blocks, tile.panel, {tile.prefetch, end}, nullptr};
    return kAddFewRows<kFormat>[tile.rows - 1](all);
  }
  const bool widen = tile.rows >= kWidenRows<kFormat>;
  const SomeBlocksFunction* const functions = widen ? kAddManyRows<kFormat> : kAddFewRows<kFormat>;
  const size_t most = widen ? kManyRows : kFewRows, groups = (tile.rows + most - 1) / most;
  alignas(64) std::byte wide[kNear * kWideBytes];
  for (size_t block = 0; block < blocks; block += kNear) {
    const size_t count = std::min(kNear, blocks - block);
    const std::byte* weights = tile.panel + block * bytes;
    for (size_t i = 0; widen && i < count; ++i) {
      Widen<kFormat>(weights + i * bytes, wide + i * kWideBytes);
    }
    for (size_t group = 0; group < groups; ++group) {
      const size_t row = tile.rows * group / groups;
      const size_t rows = tile.rows * (group + 1) / groups - row;
      const std::byte* ahead = tile.prefetch + (block + count * group / groups) * bytes;
      const std::byte* ahead_end = tile.prefetch + (block + count * (group + 1) / groups) * bytes;
      functions[rows - 1](
          {tile, row, block, count, weights, {ahead, std::min(ahead_end, end)}, wide});
    }
  }
}

template <DType kFormat>
constexpr TileKernels kKernels = {.max_rows = kMaxRowBlock,
                                  .few_rows = kFewRows,
                                  .whole_inputs = SIZE_MAX,
                                  .packed = TileOf<kFormat>,
                                  .unpack_rows = 0,
                                  .unpack = nullptr,
                                  .unpacked = nullptr,
                                  .pair_rows = 0,
                                  .pairs = nullptr,
                                  .near_sums = true};

}  // namespace

const TileKernels& Int8Avx2Tiles(DType dtype) {
  return dtype == DType::kI8 ? kKernels<DType::kI8> : kKernels<DType::kNF4>;
}

}  // namespace linnet

#else

#include "base/check.h"

namespace linnet {
const TileKernels& Int8Avx2Tiles(DType dtype) {
  LINNET_CHECK(false);
  return ExactTiles(dtype);
}
}  // namespace linnet

#endif
