#include "kernels/peaks.h"

#include <cstdint>
#include <cstring>

#include "kernels/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace linnet {
namespace {

// Where results go, so that no compiler drops the work.
volatile float sink;

// Enough sums to hide the latency of two units.
constexpr size_t kSums = 16;

size_t ReadPlain(const std::byte* data, size_t bytes) {
  uint64_t sum[8] = {};
  for (size_t i = 0; i < bytes; i += sizeof(sum)) {
    uint64_t line[8];
    std::memcpy(line, data + i, sizeof(line));
    for (size_t j = 0; j < 8; ++j) sum[j] ^= line[j];
  }
  uint64_t all = 0;
  for (const uint64_t s : sum) all ^= s;
  sink = static_cast<float>(all & 0xffff);
  return bytes;
}

size_t F32Plain(size_t rounds) {
  float sum[kSums] = {};
  for (size_t j = 0; j < kSums; ++j) sum[j] = static_cast<float>(j);
  const volatile float source = 0.5f;
  const float a = source;
  for (size_t i = 0; i < rounds; ++i) {
    for (float& s : sum) s = a * s + a;
  }
  float all = 0;
  for (const float s : sum) all += s;
  sink = all;
  return rounds * kSums * 2;
}

#if defined(__x86_64__)

#define LINNET_AVX2 __attribute__((target("avx2,fma")))
#define LINNET_AVX512 __attribute__((target("avx512f")))

LINNET_AVX2 size_t F32Avx2(size_t rounds) {
  constexpr size_t kHalf = 12;  // of 16 registers
  __m256 sum[kHalf];
#pragma GCC unroll 12
  for (size_t j = 0; j < kHalf; ++j) sum[j] = _mm256_set1_ps(static_cast<float>(j));
  const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (size_t j = 0; j < kHalf; ++j) sum[j] = _mm256_fmadd_ps(a, b, sum[j]);
  }
  __m256 all = sum[0];
#pragma GCC unroll 12
  for (size_t j = 1; j < kHalf; ++j) all = _mm256_add_ps(all, sum[j]);
  sink = _mm256_cvtss_f32(all);
  return rounds * kHalf * 8 * 2;
}

// Two streams with prefetches: what gave the most of several forms.
LINNET_AVX512 size_t Read512(const std::byte* data, size_t bytes) {
  __m512i sum[8];
  for (__m512i& s : sum) s = _mm512_setzero_si512();
  const std::byte* second = data + bytes / 2;
  for (size_t i = 0; i < bytes / 2; i += 256) {
#pragma GCC unroll 4
    for (size_t j = 0; j < 256; j += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(data + i + j + 2048), _MM_HINT_T1);
      _mm_prefetch(reinterpret_cast<const char*>(second + i + j + 2048), _MM_HINT_T1);
      sum[j / 64] = _mm512_xor_si512(sum[j / 64], _mm512_loadu_si512(data + i + j));
      sum[j / 64 + 4] = _mm512_xor_si512(sum[j / 64 + 4], _mm512_loadu_si512(second + i + j));
    }
  }
  __m512i all = sum[0];
#pragma GCC unroll 8
  for (size_t j = 1; j < 8; ++j) all = _mm512_xor_si512(all, sum[j]);
  int32_t lanes[16];
  _mm512_storeu_si512(lanes, all);
  sink = static_cast<float>(lanes[0]);
  return bytes;
}

LINNET_AVX512 size_t F32Avx512(size_t rounds) {
  __m512 sum[kSums];
#pragma GCC unroll 16
  for (size_t j = 0; j < kSums; ++j) sum[j] = _mm512_set1_ps(static_cast<float>(j));
  const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (size_t j = 0; j < kSums; ++j) sum[j] = _mm512_fmadd_ps(a, b, sum[j]);
  }
  __m512 all = sum[0];
#pragma GCC unroll 16
  for (size_t j = 1; j < kSums; ++j) all = _mm512_add_ps(all, sum[j]);
  float lanes[16];
  _mm512_storeu_ps(lanes, all);
  sink = lanes[0];
  return rounds * kSums * 16 * 2;
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

// 16 rows of 64 bytes in every tile.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// GCC's intrinsic says it reads 8 bytes, and the other stores are dropped.
__attribute__((target("amx-tile"))) void Load(const TileConfig& config) {
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
}

// Four sums, enough for the tile unit's depth.
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

size_t ReadWork(const std::byte* data, size_t bytes) noexcept {
  return CurrentIsa() >= Isa::kAvx512 ? Read512(data, bytes) : ReadPlain(data, bytes);
}

size_t F32Work(size_t rounds) noexcept {
  if (CurrentIsa() >= Isa::kAvx512) return F32Avx512(rounds);
  return CurrentIsa() == Isa::kAvx2 ? F32Avx2(rounds) : F32Plain(rounds);
}

size_t Bf16Work(size_t rounds) noexcept {
  if (CurrentIsa() == Isa::kAmx) return Bf16Amx(rounds / 16);
  return CurrentIsa() == Isa::kAvx512Vnni ? Bf16Avx512(rounds) : F32Work(rounds);
}

size_t Int8Work(size_t rounds) noexcept {
  if (CurrentIsa() == Isa::kAmx) return Int8Amx(rounds / 16);
  return CurrentIsa() == Isa::kAvx512Vnni ? Int8Avx512(rounds) : F32Work(rounds);
}

#else

size_t ReadWork(const std::byte* data, size_t bytes) noexcept { return ReadPlain(data, bytes); }
size_t F32Work(size_t rounds) noexcept { return F32Plain(rounds); }
size_t Bf16Work(size_t rounds) noexcept { return F32Plain(rounds); }
size_t Int8Work(size_t rounds) noexcept { return F32Plain(rounds); }

#endif

}  // namespace linnet
