// Reads int8 and nf4 panels with x86 intrinsics, for the dot-product kernels.
#ifndef LINNET_KERNELS_INT8_X86_H_
#define LINNET_KERNELS_INT8_X86_H_

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/blocks.h"
#include "kernels/isa.h"

#define LINNET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

namespace linnet {

// With the plain intrinsics GCC 12 warns about an uninitialized operand in its own headers.
inline constexpr __mmask16 kAll = 0xffff;

// Always inlined: GCC 12 takes a function that only prefetches for one without effects, and removes
// calls of it.
template <Core kCore = Core::kAny>
[[gnu::always_inline]] inline void PrefetchLines(const std::byte* from, size_t bytes) {
  constexpr auto kHint = kCore == Core::kZen ? _MM_HINT_T0 : _MM_HINT_T1;
  for (size_t i = 0; i < bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(from + i), kHint);
  }
}

// sum += dot products of quads: unsigned bytes of `w` by signed bytes of `x`. Inline assembly,
// since with the intrinsic GCC 12 copies and spills every sum, which costs a third of the
// throughput.
LINNET_VNNI inline void AddDots(__m512i& sum, __m512i w, __m512i x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
}

// Two quads of inputs of 16 outputs, as bytes q + 128. A step of a panel holds those of all 64
// outputs.
struct TwoQuads {
  __m512i first, second;
};
template <DType kFormat, Core kCore = Core::kAny>
struct Quads;

template <Core kCore>
struct Quads<DType::kI8, kCore> {
  static constexpr size_t kStepBytes = 2 * kQuadBytes;
  LINNET_VNNI inline TwoQuads Load(const std::byte* step) const {
    return {_mm512_loadu_si512(step), _mm512_loadu_si512(step + kQuadBytes)};
  }
};

template <Core kCore>
struct Quads<DType::kNF4, kCore> {
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
    const __m512i high = _mm512_srli_epi16(codes, 4);
    if constexpr (kCore == Core::kZen) return {LookUp(codes), LookUp(high)};
    return {_mm512_shuffle_epi8(book, _mm512_and_si512(codes, low)),
            _mm512_shuffle_epi8(book, _mm512_and_si512(high, low))};
  }
  // The index is the low six bits of each byte. The codebook is repeated four times, so only four
  // bits matter. Inline assembly, since the callers are not compiled for this instruction set.
  LINNET_VNNI inline __m512i LookUp(__m512i codes) const {
    __m512i bytes;
    asm("vpermb %1, %2, %0" : "=v"(bytes) : "v"(book), "v"(codes));
    return bytes;
  }
};

}  // namespace linnet

#endif
#endif  // LINNET_KERNELS_INT8_X86_H_
