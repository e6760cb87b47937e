#include "peaks.h"

#if defined(__x86_64__)
#include <immintrin.h>

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

LINNET_AVX512 float Read512(const std::byte* data, size_t bytes) {
  __m512 sum[8] = {};
  for (size_t i = 0; i < bytes; i += 512) {
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; ++j) {
      const __m512 value = _mm512_loadu_ps(reinterpret_cast<const float*>(data + i + j * 64));
      sum[j] = _mm512_castsi512_ps(
          _mm512_xor_si512(_mm512_castps_si512(sum[j]), _mm512_castps_si512(value)));
    }
  }
  return Any(sum);
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

float ReadAll(const std::byte* data, size_t bytes) {
  float total = 0;
  for (size_t i = 0; i < bytes; i += 64) total += *reinterpret_cast<const float*>(data + i);
  return total;
}

}  // namespace linnet
#endif
