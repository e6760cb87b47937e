#include "peaks.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>

namespace linnet {
namespace {

#define LINNET_AVX512 __attribute__((target("avx512f,avx512bf16")))

// Enough sums to hide the latency of two units.
constexpr size_t kSums = 16;

// A value that needs every sum.
template <size_t kCount>
LINNET_AVX512 inline float Any(const __m512 (&sum)[kCount]) {
  __m512 all = sum[0];
#pragma GCC unroll 16
  for (size_t i = 1; i < kCount; ++i) all = _mm512_add_ps(all, sum[i]);
  float lanes[16];
  _mm512_storeu_ps(lanes, all);
  return lanes[0] + lanes[1];
}

// Different values, lest the compiler compute one sum for all.
LINNET_AVX512 inline void Start(__m512 (&sum)[kSums]) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
}

// Two streams with prefetches: what gave the most of several forms.
LINNET_AVX512 float Read512(const std::byte* data, size_t bytes) {
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
  __m512 values[8];
#pragma GCC unroll 8
  for (size_t j = 0; j < 8; ++j) values[j] = _mm512_castsi512_ps(sum[j]);
  return Any(values);
}

LINNET_AVX512 float F32Loop(size_t rounds) {
  __m512 sum[kSums];
  Start(sum);
  const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (size_t j = 0; j < kSums; ++j) sum[j] = _mm512_fmadd_ps(a, b, sum[j]);
  }
  return Any(sum);
}

LINNET_AVX512 float Bf16Loop(size_t rounds) {
  __m512 sum[kSums];
  Start(sum);
  const __m512i a = _mm512_set1_epi32(0x3f003f00);
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (size_t j = 0; j < kSums; ++j) sum[j] = _mm512_dpbf16_ps(sum[j], (__m512bh)a, (__m512bh)a);
  }
  return Any(sum);
}

constexpr size_t kTileFlops = 2 * 16 * 16 * 32;

// Four sums, enough for the unit's depth.
__attribute__((target("amx-tile,amx-bf16"))) void AmxLoop(size_t rounds) {
  struct alignas(64) {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
  for (size_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

volatile float sink;

}  // namespace

bool HasF32Probe() { return __builtin_cpu_supports("avx512f"); }
bool HasBf16Probe() { return __builtin_cpu_supports("avx512bf16"); }

float ReadAll(const std::byte* data, size_t bytes) {
  if (HasF32Probe()) return Read512(data, bytes);
  float total = 0;
  for (size_t i = 0; i < bytes; i += 64) total += *reinterpret_cast<const float*>(data + i);
  return total;
}

size_t F32Work(size_t rounds) {
  sink = F32Loop(rounds);
  return rounds * kSums * 16 * 2;
}

size_t AmxWork(size_t rounds) {
  AmxLoop(rounds);
  return rounds * 4 * kTileFlops;
}

size_t Bf16Work(size_t rounds) {
  sink = Bf16Loop(rounds);
  return rounds * kSums * 32 * 2;
}

}  // namespace linnet

#else

namespace linnet {

bool HasF32Probe() { return false; }
bool HasBf16Probe() { return false; }
size_t F32Work(size_t) { return 0; }
size_t Bf16Work(size_t) { return 0; }
size_t AmxWork(size_t) { return 0; }

float ReadAll(const std::byte* data, size_t bytes) {
  float total = 0;
  for (size_t i = 0; i < bytes; i += 64) total += *reinterpret_cast<const float*>(data + i);
  return total;
}

}  // namespace linnet
#endif
