// The block formats of ggml: 32 or 256 values of a row that share scales, as in GGUF and rwkv.cpp
// files.
#ifndef LINNET_TENSOR_GGML_BLOCKS_H_
#define LINNET_TENSOR_GGML_BLOCKS_H_

#include <cstddef>
#include <cstdint>

namespace linnet {

enum class GgmlBlock : uint8_t { kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4K, kQ5K, kQ6K };
inline constexpr size_t kGgmlBlocks = 8;

// Values of the largest block; a multiple of every block size.
inline constexpr size_t kMaxBlockValues = 256;

constexpr size_t ValuesPerBlock(GgmlBlock format) { return format < GgmlBlock::kQ4K ? 32 : 256; }

constexpr size_t BytesPerBlock(GgmlBlock format) {
  constexpr size_t kBytes[] = {18, 20, 22, 24, 34, 144, 176, 210};
  return kBytes[static_cast<size_t>(format)];
}

// Writes `count` values from the `begin`-th on; `blocks` is the start of a block. Values are
// exactly scale * number (+ minimum) in f32, the sum rounded once. Blocks need no alignment.
void DecodeGgml(GgmlBlock format, const std::byte* blocks, size_t begin, size_t count,
                float* out) noexcept;

// Rounds as ggml does: 32 values share max |x| / 127 in f16. `count` is a multiple of 32; values of
// 65504 * 127 or more overflow the scale.
void EncodeQ8_0(const float* values, size_t count, std::byte* out) noexcept;

}  // namespace linnet

#endif  // LINNET_TENSOR_GGML_BLOCKS_H_
