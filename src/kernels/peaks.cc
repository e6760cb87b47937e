#include "kernels/peaks.h"

#include <cstdint>
#include <cstring>

#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace linnet {
namespace {

// Destination of results, so that the compiler keeps the work.
volatile float sink;

// Enough sums to hide the latency of two execution units.
constexpr size_t kSums = 16;

typedef uint64_t Lanes16 __attribute__((vector_size(16)));
typedef uint64_t Lanes32 __attribute__((vector_size(32)));
typedef uint64_t Lanes64 __attribute__((vector_size(64)));

// Two streams with prefetches: the fastest of several variants. Compiled for the instruction set of
// its caller.
template <class Lanes>
inline __attribute__((always_inline)) size_t ReadLines(const std::byte* data, size_t bytes) {
  constexpr size_t kLine = 64, kStep = 256, kAhead = 2048, kLanes = kLine / sizeof(Lanes);
  constexpr size_t kStreamSums = 4;  // sums per stream
  Lanes sum[2 * kStreamSums] = {};
  const std::byte* second = data + bytes / 2;
  for (size_t i = 0; i < bytes / 2; i += kStep) {
#pragma GCC unroll 4
    for (size_t j = 0; j < kStep; j += kLine) {
      __builtin_prefetch(data + i + j + kAhead, 0, 2);
      __builtin_prefetch(second + i + j + kAhead, 0, 2);
#pragma GCC unroll 4
      for (size_t k = 0; k < kLanes; ++k) {
        Lanes one, other;
        std::memcpy(&one, data + i + j + k * sizeof(Lanes), sizeof(Lanes));
        std::memcpy(&other, second + i + j + k * sizeof(Lanes), sizeof(Lanes));
        const size_t n = (j / kLine * kLanes + k) % kStreamSums;
        sum[n] ^= one;
        sum[kStreamSums + n] ^= other;
      }
    }
  }
  Lanes all = sum[0];
#pragma GCC unroll 8
  for (size_t k = 1; k < 2 * kStreamSums; ++k) all ^= sum[k];
  sink = static_cast<float>(all[0] & 0xffff);
  return bytes;
}

#if defined(__x86_64__)

#define LINNET_AVX2 __attribute__((target("avx2,fma")))
#define LINNET_AVX512 __attribute__((target("avx512f")))

LINNET_AVX2 size_t ReadAvx2(const std::byte* data, size_t bytes) {
  return ReadLines<Lanes32>(data, bytes);
}

// Without VNNI, widened to 16 bits: pairs of products, and their sums. Inline assembly, since GCC
// 12 reorders the sums until it lacks registers.
LINNET_AVX2 size_t Int8Avx2(size_t rounds) {
  constexpr size_t kPairSums = 12;
  __m256i sum[kPairSums];
#pragma GCC unroll 12
  for (size_t j = 0; j < kPairSums; ++j) sum[j] = _mm256_setzero_si256();
  const __m256i a = _mm256_set1_epi16(3);
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (size_t j = 0; j < kPairSums; ++j) {
      __m256i product;
      asm volatile("vpmaddwd %1, %1, %0" : "=x"(product) : "x"(a));
      asm volatile("vpaddd %1, %0, %0" : "+x"(sum[j]) : "x"(product));
    }
  }
  __m256i all = sum[0];
#pragma GCC unroll 12
  for (size_t j = 1; j < kPairSums; ++j) all = _mm256_xor_si256(all, sum[j]);
  int32_t lanes[8];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), all);
  sink = static_cast<float>(lanes[0]);
  return rounds * kPairSums * 16 * 2;
}

LINNET_AVX512 size_t ReadAvx512(const std::byte* data, size_t bytes) {
  return ReadLines<Lanes64>(data, bytes);
}

__attribute__((target("avx512f,avx512bf16"))) size_t Bf16Avx512(size_t rounds) {
  __m512 sum[kSums];
#pragma GCC unroll 16
  for (size_t j = 0; j < kSums; ++j) sum[j] = _mm512_set1_ps(static_cast<float>(j));
  const __m512i a = _mm512_set1_epi32(0x3f003f00);
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (size_t j = 0; j < kSums; ++j) sum[j] = _mm512_dpbf16_ps(sum[j], (__m512bh)a, (__m512bh)a);
  }
  __m512 all = sum[0];
#pragma GCC unroll 16
  for (size_t j = 1; j < kSums; ++j) all = _mm512_add_ps(all, sum[j]);
  float lanes[16];
  _mm512_storeu_ps(lanes, all);
  sink = lanes[0];
  return rounds * kSums * 32 * 2;
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) size_t Int8Avx512(size_t rounds) {
  __m512i sum[kSums];
#pragma GCC unroll 16
  for (size_t j = 0; j < kSums; ++j) sum[j] = _mm512_set1_epi32(static_cast<int>(j));
  const __m512i a = _mm512_set1_epi8(3);
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (size_t j = 0; j < kSums; ++j) sum[j] = _mm512_dpbusd_epi32(sum[j], a, a);
  }
  __m512i all = sum[0];
#pragma GCC unroll 16
  for (size_t j = 1; j < kSums; ++j) all = _mm512_xor_si512(all, sum[j]);
  int32_t lanes[16];
  _mm512_storeu_si512(lanes, all);
  sink = static_cast<float>(lanes[0]);
  return rounds * kSums * 64 * 2;
}

// 16 rows of 64 bytes in each tile.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// GCC's intrinsic declares that it reads 8 bytes only, so the other stores would be dropped.
__attribute__((target("amx-tile"))) void Load(const TileConfig& config) {
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
}

// Four sums, enough for the pipeline of the tile unit.
__attribute__((target("amx-tile,amx-bf16"))) size_t Bf16Amx(size_t rounds) {
  const TileConfig config;
  Load(config);
  for (size_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return rounds * 4 * 16 * 16 * 32 * 2;
}

__attribute__((target("amx-tile,amx-int8"))) size_t Int8Amx(size_t rounds) {
  const TileConfig config;
  Load(config);
  for (size_t i = 0; i < rounds; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
  return rounds * 4 * 16 * 16 * 64 * 2;
}

#endif  // __x86_64__

}  // namespace

#if defined(__x86_64__)

// Memory bandwidth does not depend on the current level.
size_t ReadWork(const std::byte* data, size_t bytes) noexcept {
  static const bool has_avx512 = __builtin_cpu_supports("avx512f");
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  if (has_avx512) return ReadAvx512(data, bytes);
  return has_avx2 ? ReadAvx2(data, bytes) : ReadLines<Lanes16>(data, bytes);
}

size_t Bf16Work(size_t rounds) noexcept {
  if (CurrentIsa() == Isa::kAmx) return Bf16Amx(rounds / 16);
  return CurrentIsa() == Isa::kAvx512Vnni ? Bf16Avx512(rounds) : F32Work(rounds);
}

size_t Int8Work(size_t rounds) noexcept {
  if (CurrentIsa() == Isa::kAmx) return Int8Amx(rounds / 16);
  if (CurrentIsa() == Isa::kAvx512Vnni) return Int8Avx512(rounds);
  return CurrentIsa() == Isa::kPortable ? F32Work(rounds) : Int8Avx2(rounds);
}

#else

size_t ReadWork(const std::byte* data, size_t bytes) noexcept {
  return ReadLines<Lanes16>(data, bytes);
}
size_t Bf16Work(size_t rounds) noexcept { return F32Work(rounds); }
size_t Int8Work(size_t rounds) noexcept { return F32Work(rounds); }

#endif

}  // namespace linnet
