// Blocks: memory layout of int8 and nf4 panels, the same at every instruction-set level and in
// packed files.
//
// A panel is a sequence of blocks of 64 inputs by 64 outputs, the last one padded with zeros. A
// block is its weights, then an f16 scale for each output: the largest magnitude of its 64 weights.
//   int8  [16][64][4] bytes, quads of inputs: q + 128, q in [-127, 127]; the value is
//         q * (scale * (1 / 127)).
//   nf4   [8][64][4] bytes, octets of inputs: byte j holds the codes of inputs j (low half) and
//         4 + j (high half); the value is kNF4[code] * scale.
// So a 32-bit lane of int8 is the operand of a 4-way dot product, a lane of nf4 is two of them
// after a shift, a mask and a byte look-up, and 16 quads of 16 outputs are an AMX tile.
#ifndef LINNET_KERNELS_BLOCKS_H_
#define LINNET_KERNELS_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "tensor/weight.h"

namespace linnet {

inline constexpr size_t kBlockInputs = 64;
inline constexpr size_t kQuadBytes = kPanelRows * 4;  // of int8; two quads of nf4
inline constexpr size_t kScaleBytes = kPanelRows * 2;

constexpr bool HasBlocks(DType dtype) { return dtype == DType::kI8 || dtype == DType::kNF4; }

// Bytes of a block without and with its scales.
constexpr size_t BlockWeightBytes(DType dtype) {
  return kBlockInputs / (dtype == DType::kNF4 ? 8 : 4) * kQuadBytes;
}
constexpr size_t BlockBytes(DType dtype) { return BlockWeightBytes(dtype) + kScaleBytes; }

constexpr size_t Blocks(size_t inputs) { return (inputs + kBlockInputs - 1) / kBlockInputs; }

// The codebook of QLoRA (Dettmers et al. 2023, appendix E), as in bitsandbytes.
inline constexpr float kNF4[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};
inline constexpr uint32_t kNF4Zero = 7;

// The codebook in steps of 1/127, plus 128, for products with int8 activations.
constexpr uint8_t NF4Byte(size_t code) {
  const float x = kNF4[code] * 127.0f;
  return static_cast<uint8_t>(static_cast<int>(x + (x < 0 ? -0.5f : 0.5f)) + 128);
}

}  // namespace linnet

#endif  // LINNET_KERNELS_BLOCKS_H_
