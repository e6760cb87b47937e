// Activations as int8, the operands of int8 and nf4 weights in default mode.
#ifndef LINNET_KERNELS_INT8_ROWS_H_
#define LINNET_KERNELS_INT8_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/blocks.h"
#include "tensor/mat.h"

namespace linnet {

// A prepared row is its inputs as q in [-127, 127], padded with zeros to whole blocks of 64, then
// one Int8Block for each block. The value of an input is q * scale * 127, so the scale includes the
// weights' factor 1 / 127.
struct Int8Block {
  float scale;
  int32_t start;  // -128 times the sum of all q, since weights are stored as q + 128
};

// Bytes of a row, a multiple of 64.
constexpr size_t Int8RowBytes(size_t cols) {
  return (Blocks(cols) * (kBlockInputs + sizeof(Int8Block)) + 63) / 64 * 64;
}

inline const Int8Block* Int8Blocks(const std::byte* row, size_t cols) {
  return reinterpret_cast<const Int8Block*>(row + Blocks(cols) * kBlockInputs);
}

// Writes x.rows rows, `stride` bytes apart. A block with an infinity or NaN gets a NaN scale, so
// its sums are NaN.
void Int8Rows(Mat<const float> x, std::byte* out, size_t stride) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_INT8_ROWS_H_
