// Weight: a matrix as products read it: panels of 64 outputs, in one of the formats.
#ifndef LINNET_TENSOR_WEIGHT_H_
#define LINNET_TENSOR_WEIGHT_H_

#include <cstddef>
#include <cstdint>

#include "linnet/dtype.h"
#include "tensor/ggml_blocks.h"

namespace linnet {

// Outputs in a panel; the last panel is padded with zeros.
inline constexpr size_t kPanelRows = 64;

// [out = rows, in = cols]. Not owned; the bytes are 64-byte aligned and never change.
struct Weight {
  DType dtype = DType::kF32;
  size_t rows = 0, cols = 0;
  const std::byte* data = nullptr;
  // For kGgml only, whose rows of blocks are contiguous and need no alignment: the block type, and
  // a power of two that scales its values.
  GgmlBlock block = GgmlBlock::kQ8_0;
  float scale = 1.0f;
  // Whether all values are known to be finite: then inputs that are zero may be skipped.
  bool finite = false;

  size_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

}  // namespace linnet

#endif  // LINNET_TENSOR_WEIGHT_H_
