// Decoders of ggml's blocks as plain loops, compiled once per instruction set. Products of a scale
// and an integer fit f32's 24 bits, so fused and separate multiply and add give the same bits.
#if defined(LINNET_TENSOR_GGML_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_TENSOR_GGML_BLOCKS_INL_H_
#undef LINNET_TENSOR_GGML_BLOCKS_INL_H_
#else
#define LINNET_TENSOR_GGML_BLOCKS_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "tensor/ggml_blocks.h"
#include "tensor/half.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {

inline float BlockHalf(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return F16ToF32(bits);
}

// The low nibbles of 16 bytes are the first 16 values, the high nibbles the others.
template <bool kMinimum>
void DecodeFours(const uint8_t* in, float* HWY_RESTRICT out) {
  const float d = BlockHalf(in), m = kMinimum ? BlockHalf(in + 2) : 0.0f;
  const uint8_t* q = in + (kMinimum ? 4 : 2);
  constexpr int kZero = kMinimum ? 0 : 8;
  for (size_t i = 0; i < 16; ++i) {
    const float low = d * static_cast<float>((q[i] & 15) - kZero);
    const float high = d * static_cast<float>((q[i] >> 4) - kZero);
    out[i] = kMinimum ? low + m : low;
    out[i + 16] = kMinimum ? high + m : high;
  }
}

// The same with the fifth bits in one word.
template <bool kMinimum>
void DecodeFives(const uint8_t* in, float* HWY_RESTRICT out) {
  const float d = BlockHalf(in), m = kMinimum ? BlockHalf(in + 2) : 0.0f;
  const uint8_t* q = in + (kMinimum ? 8 : 6);
  uint32_t fifth;
  std::memcpy(&fifth, q - 4, sizeof(fifth));
  constexpr int kZero = kMinimum ? 0 : 16;
  for (uint32_t i = 0; i < 16; ++i) {
    const auto low_bit = static_cast<int>((fifth >> i) & 1u) << 4;
    const auto high_bit = static_cast<int>((fifth >> (i + 16)) & 1u) << 4;
    const float low = d * static_cast<float>(((q[i] & 15) | low_bit) - kZero);
    const float high = d * static_cast<float>(((q[i] >> 4) | high_bit) - kZero);
    out[i] = kMinimum ? low + m : low;
    out[i + 16] = kMinimum ? high + m : high;
  }
}

inline void DecodeEights(const uint8_t* in, float* HWY_RESTRICT out) {
  const float d = BlockHalf(in);
  const auto* q = reinterpret_cast<const int8_t*>(in + 2);
  for (size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(q[i]);
}

// Eight 6-bit scales and eight 6-bit minimums in 12 bytes.
inline void UnpackScales(const uint8_t* in, int (&scale)[8], int (&minimum)[8]) {
  for (size_t i = 0; i < 4; ++i) {
    scale[i] = in[i] & 63;
    minimum[i] = in[i + 4] & 63;
    scale[i + 4] = (in[i + 8] & 15) | (in[i] >> 6 << 4);
    minimum[i + 4] = (in[i + 8] >> 4) | (in[i + 4] >> 6 << 4);
  }
}

// Q4_K, and Q5_K, whose fifth bits are in the 32 bytes before: bit i holds those of group i.
template <bool kFifth>
void DecodeSuper(const uint8_t* in, float* HWY_RESTRICT out) {
  const float d = BlockHalf(in), minimum = BlockHalf(in + 2);
  int scales[8], minimums[8];
  UnpackScales(in + 4, scales, minimums);
  const uint8_t* fifth = in + 16;
  const uint8_t* q = in + (kFifth ? 48 : 16);
  for (int group = 0; group < 8; group += 2, q += 32) {
    const float d0 = d * static_cast<float>(scales[group]);
    const float d1 = d * static_cast<float>(scales[group + 1]);
    const float m0 = minimum * static_cast<float>(minimums[group]);
    const float m1 = minimum * static_cast<float>(minimums[group + 1]);
    for (size_t i = 0; i < 32; ++i) {
      const int low_bit = kFifth ? ((fifth[i] >> group) & 1) << 4 : 0;
      const int high_bit = kFifth ? ((fifth[i] >> (group + 1)) & 1) << 4 : 0;
      out[i] = d0 * static_cast<float>((q[i] & 15) | low_bit) - m0;
      out[i + 32] = d1 * static_cast<float>((q[i] >> 4) | high_bit) - m1;
    }
    out += 64;
  }
}

// Q6_K: two halves of 128 values, each with 64 bytes of low and 32 of high bits.
inline void DecodeSixes(const uint8_t* in, float* HWY_RESTRICT out) {
  const auto* scales = reinterpret_cast<const int8_t*>(in + 192);
  const float d = BlockHalf(in + 208);
  for (size_t half = 0; half < 2; ++half) {
    const uint8_t *low = in + 64 * half, *high = in + 128 + 32 * half;
    for (size_t part = 0; part < 2; ++part, low += 16, high += 16) {
      const int8_t* scale = scales + 8 * half + part;
      float* to = out + 128 * half + 16 * part;
      const float d0 = d * static_cast<float>(scale[0]), d1 = d * static_cast<float>(scale[2]);
      const float d2 = d * static_cast<float>(scale[4]), d3 = d * static_cast<float>(scale[6]);
      for (size_t i = 0; i < 16; ++i) {
        const int a = low[i], b = low[i + 32], c = high[i];
        to[i] = d0 * static_cast<float>(((a & 15) | ((c & 3) << 4)) - 32);
        to[i + 32] = d1 * static_cast<float>(((b & 15) | ((c >> 2 & 3) << 4)) - 32);
        to[i + 64] = d2 * static_cast<float>(((a >> 4) | ((c >> 4 & 3) << 4)) - 32);
        to[i + 96] = d3 * static_cast<float>(((b >> 4) | ((c >> 6) << 4)) - 32);
      }
    }
  }
}

template <class Decoder>
void DecodeEach(GgmlBlock format, const uint8_t* in, size_t blocks, float* HWY_RESTRICT out,
                const Decoder& decode) {
  const size_t bytes = BytesPerBlock(format), values = ValuesPerBlock(format);
  for (size_t i = 0; i < blocks; ++i) decode(in + i * bytes, out + i * values);
}

inline void DecodeBlocks(GgmlBlock format, const std::byte* data, size_t blocks, float* out) {
  const auto* in = reinterpret_cast<const uint8_t*>(data);
  switch (format) {
    case GgmlBlock::kQ4_0:
      return DecodeEach(format, in, blocks, out, DecodeFours<false>);
    case GgmlBlock::kQ4_1:
      return DecodeEach(format, in, blocks, out, DecodeFours<true>);
    case GgmlBlock::kQ5_0:
      return DecodeEach(format, in, blocks, out, DecodeFives<false>);
    case GgmlBlock::kQ5_1:
      return DecodeEach(format, in, blocks, out, DecodeFives<true>);
    case GgmlBlock::kQ8_0:
      return DecodeEach(format, in, blocks, out, DecodeEights);
    case GgmlBlock::kQ4K:
      return DecodeEach(format, in, blocks, out, DecodeSuper<false>);
    case GgmlBlock::kQ5K:
      return DecodeEach(format, in, blocks, out, DecodeSuper<true>);
    case GgmlBlock::kQ6K:
      return DecodeEach(format, in, blocks, out, DecodeSixes);
  }
}

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
