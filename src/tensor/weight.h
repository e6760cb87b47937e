// Weight: a matrix as the products read it: panels of 64 outputs, in one of the formats.
#ifndef LINNET_TENSOR_WEIGHT_H_
#define LINNET_TENSOR_WEIGHT_H_

#include <cstddef>
#include <cstdint>

namespace linnet {

enum class DType : uint8_t { kF32, kF16, kBF16, kI8, kNF4 };

// "f32", "f16", "bf16", "int8", "nf4".
const char* Name(DType dtype);

// Outputs that stand side by side in a panel; the last panel is padded with zeros.
inline constexpr size_t kPanelRows = 64;

// [out = rows, in = cols]. Not owned; the bytes are 64-byte aligned and never change.
struct Weight {
  DType dtype = DType::kF32;
  size_t rows = 0, cols = 0;
  const std::byte* data = nullptr;

  size_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

}  // namespace linnet

#endif  // LINNET_TENSOR_WEIGHT_H_
