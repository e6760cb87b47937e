// Convert: any readable checkpoint written again under BlinkDL's names and shapes.
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

// A tensor to write, and the shape that released files give it.
struct ReleasedTensor {
  const TensorView* view;
  std::vector<size_t> shape;
};

// All tensors but an optimizer's: BlinkDL's naming keeps its order and shapes; others get the
// released ones, what those do not know last.
std::vector<ReleasedTensor> InReleasedOrder(const Checkpoint& in);

// Throws Error kBadModel if f16 would make one of the values of `tensor` infinite.
void CheckHalves(const Checkpoint& in, const TensorView& tensor, std::span<const float> values);

// "f32", "f16" and "bf16" as types of a file's values.
std::optional<SourceType> ParseFloatType(std::string_view name);

struct ConvertOptions {
  // The type of all tensors, vectors too, as released files have it; each its own
  // if not given. (A decay in bf16 is what bf16 releases hold; models are trained
  // with values rounded so. f16 is refused where a value would become infinite.)
  std::optional<SourceType> type{};
  // A vocabulary to hold, as DeflateText made it; the source's own if empty.
  // Safetensors only: a .pth is what the released ones are.
  std::span<const std::byte> vocabulary{};
  // Writes what this adapter makes of the model, onto the values that quantized matrices stand for.
  // Its tuned state, if it has one, becomes the model's own, last in the file if that had none.
  const Adapter* adapter = nullptr;
  // Bytes read and bytes in all; may throw, and then nothing is written.
  std::function<void(uint64_t, uint64_t)> progress{};
  // May read what was written, under a temporary name, before it appears as `out`; may throw, and
  // then it never does.
  std::function<void(const std::filesystem::path& written)> check{};
};

struct Converted {
  uint64_t tensors = 0, parameters = 0;
};

// Writes a model, adapter or tuned initial state, tensor by tensor: holds a few
// megabytes, whatever the file's size. Order and shapes as InReleasedOrder says.
// The container follows the ending of `out`. Throws Error: kBadModel for other
// files and for values that `type` cannot hold, kIo.
Converted ConvertCheckpoint(const Checkpoint& in, const std::filesystem::path& out,
                            const ConvertOptions& options = {});

}  // namespace linnet

#endif  // LINNET_MODELS_CONVERT_H_
