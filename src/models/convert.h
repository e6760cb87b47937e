// Convert: rewrites any readable checkpoint with BlinkDL's names and shapes.
#ifndef LINNET_MODELS_CONVERT_H_
#define LINNET_MODELS_CONVERT_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "models/adapter.h"
#include "models/names.h"

namespace linnet {

// A tensor to write, and its shape in released files.
struct ReleasedTensor {
  const TensorView* view;
  std::vector<size_t> shape;
};

// All tensors except the optimizer's. A checkpoint with BlinkDL's names keeps its order and shapes.
// Others get those of released files, with unknown tensors last.
std::vector<ReleasedTensor> InReleasedOrder(const Checkpoint& in);

// Throws Error kBadModel if a value of `tensor` would become infinite in f16.
void CheckHalves(const Checkpoint& in, const TensorView& tensor, std::span<const float> values);

// The file type of "f32", "f16" or "bf16".
std::optional<SourceType> ParseFloatType(std::string_view name);

struct ConvertOptions {
  // The type of all tensors, including vectors, as in released files. If not set, each keeps its
  // own. (bf16 releases store decays in bf16, and models are trained with values rounded this way.
  // f16 is refused where a value would become infinite.)
  std::optional<SourceType> type{};
  // A vocabulary to store, from DeflateText; the source's own if empty. Safetensors only: a .pth
  // contains the same tensors as released files.
  std::span<const std::byte> vocabulary{};
  // Merges this adapter into the model; quantized matrices are dequantized first. Its tuned state,
  // if any, becomes the model's own, as the last tensors if the model had none.
  const Adapter* adapter = nullptr;
  // Called with bytes read and total bytes. If it throws, no file is written.
  std::function<void(uint64_t, uint64_t)> progress{};
  // Called to check the written file, under a temporary name, before it appears as `out`. If it
  // throws, the file never appears.
  std::function<void(const std::filesystem::path& written)> check{};
};

struct Converted {
  uint64_t tensors = 0, parameters = 0;
};

// Writes a model, adapter or tuned initial state, tensor by tensor. Uses a few megabytes of memory
// for any file size. Order and shapes are those of InReleasedOrder. The file extension of `out`
// selects the container. Throws Error: kBadModel for other files and for values that `type` cannot
// represent, kIo.
Converted ConvertCheckpoint(const Checkpoint& in, const std::filesystem::path& out,
                            const ConvertOptions& options = {});

}  // namespace linnet

#endif  // LINNET_MODELS_CONVERT_H_
