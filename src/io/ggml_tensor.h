// Tensors in ggml's types: plain values, or matrices of blocks that are decoded when read.
#ifndef LINNET_IO_GGML_TENSOR_H_
#define LINNET_IO_GGML_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/container.h"
#include "io/tensor_view.h"
#include "tensor/ggml_blocks.h"

namespace linnet {

const char* Name(GgmlBlock block);  // "q8_0", "q4_k"

// Consecutive rows of blocks. Their values may be multiplied by a power of two.
class GgmlMatrix final : public Encoding {
 public:
  GgmlMatrix(GgmlBlock block, size_t rows, size_t cols, const std::byte* data, float scale = 1.0f)
      : block_(block), rows_(rows), cols_(cols), data_(data), scale_(scale) {}

  const char* type_name() const override { return Name(block_); }
  size_t rows() const override { return rows_; }
  size_t cols() const override { return cols_; }
  std::span<const std::byte> bytes() const override { return {data_, rows_ * row_bytes()}; }
  void Read(size_t begin, size_t count, float* out) const override;

  GgmlBlock block() const { return block_; }
  float scale() const { return scale_; }

 private:
  size_t row_bytes() const { return cols_ / ValuesPerBlock(block_) * BytesPerBlock(block_); }

  GgmlBlock block_;
  size_t rows_, cols_;
  const std::byte* data_;
  float scale_;
};

// A ggml type as numbered in files: a plain type or a block format.
struct GgmlType {
  std::optional<SourceType> plain{};
  std::optional<GgmlBlock> block{};
};

// The size of a tensor in bytes; nullopt if it overflows or a row is not a whole number of blocks.
std::optional<uint64_t> BytesOf(GgmlType type, const std::vector<size_t>& shape);

// Appends a tensor whose BytesOf bytes begin at `data`.
void AddGgmlTensor(std::string name, GgmlType type, std::vector<size_t> shape,
                   const std::byte* data, ParsedFile& out);

}  // namespace linnet

#endif  // LINNET_IO_GGML_TENSOR_H_
