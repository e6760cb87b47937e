// Reading int8 and nf4 panels with the x86 intrinsics, for the kernels of dot products.
#ifndef LINNET_KERNELS_INT8_X86_H_
#define LINNET_KERNELS_INT8_X86_H_

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>

#include "kernels/blocks.h"

#define LINNET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

namespace linnet {

// The plain intrinsics make GCC 12 warn of their headers' own uninitialized operand.
inline constexpr __mmask16 kAll = 0xffff;

LINNET_VNNI inline void PrefetchToL2(const std::byte* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from + i), _MM_HINT_T1);
  }
}

// Two quads of inputs of 16 outputs, as bytes of q + 128. A step of a panel holds those of all 64.
struct TwoQuads {
  __m512i first, second;
};
template <DType kFormat>
struct Quads;

template <>
struct Quads<DType::kI8> {
  static constexpr size_t kStepBytes = 2 * kQuadBytes;
  LINNET_VNNI inline TwoQuads Load(const std::byte* step) const {
    return {_mm512_loadu_si512(step), _mm512_loadu_si512(step + kQuadBytes)};
  }
};

template <>
struct Quads<DType::kNF4> {
  static constexpr size_t kStepBytes = kQuadBytes;
  __m512i book, low;
  LINNET_VNNI inline Quads() {
    alignas(16) uint8_t bytes[16];
    for (size_t i = 0; i < 16; ++i) bytes[i] = NF4Byte(i);
    book =
        _mm512_maskz_broadcast_i32x4(kAll, _mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
    low = _mm512_set1_epi8(15);
  }
  LINNET_VNNI inline TwoQuads Load(const std::byte* step) const {
    const __m512i codes = _mm512_loadu_si512(step);
    return {_mm512_shuffle_epi8(book, _mm512_and_si512(codes, low)),
            _mm512_shuffle_epi8(book, _mm512_and_si512(_mm512_srli_epi16(codes, 4), low))};
  }
};

}  // namespace linnet

#endif
#endif  // LINNET_KERNELS_INT8_X86_H_
