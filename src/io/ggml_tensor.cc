#include "io/ggml_tensor.h"

#include <memory>
#include <utility>

namespace linnet {

const char* Name(GgmlBlock block) {
  constexpr const char* kNames[kGgmlBlocks] = {"q4_0", "q4_1", "q5_0", "q5_1",
                                               "q8_0", "q4_k", "q5_k", "q6_k"};
  return kNames[static_cast<size_t>(block)];
}

void GgmlMatrix::Read(size_t begin, size_t count, float* out) const {
  DecodeGgml(block_, data_ + begin * row_bytes(), 0, count * cols_, out);
  if (scale_ == 1.0f) return;
  for (size_t i = 0; i < count * cols_; ++i) out[i] *= scale_;
}

std::optional<uint64_t> BytesOf(GgmlType type, const std::vector<size_t>& shape) {
  constexpr uint64_t kMost = uint64_t{1} << 56;
  size_t count = 0;
  if (!CountElements(shape, &count) || count > kMost) return std::nullopt;
  if (type.plain) return count * ElementBytes(*type.plain);
  const size_t values = ValuesPerBlock(*type.block);
  if (shape.empty() || shape.back() % values != 0) return std::nullopt;
  return count / values * BytesPerBlock(*type.block);
}

void AddGgmlTensor(std::string name, GgmlType type, std::vector<size_t> shape,
                   const std::byte* data, ParsedFile& out) {
  TensorView view;
  view.name = std::move(name);
  view.strides = ContiguousStrides(shape);
  view.shape = std::move(shape);
  if (type.plain) {
    view.type = *type.plain;
    view.data = data;
  } else {
    const size_t cols = view.shape.back(), count = view.elements();
    out.encodings.push_back(
        std::make_unique<GgmlMatrix>(*type.block, cols == 0 ? 0 : count / cols, cols, data));
    view.encoding = out.encodings.back().get();
  }
  out.tensors.push_back(std::move(view));
}

}  // namespace linnet
