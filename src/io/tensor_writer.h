// Writers of checkpoints: safetensors and .pth, streamed, under their name only when whole.
#ifndef LINNET_IO_TENSOR_WRITER_H_
#define LINNET_IO_TENSOR_WRITER_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/tensor_view.h"

namespace linnet {

// A tensor to be written: contiguous, row-major.
struct TensorSpec {
  std::string name;
  SourceType type = SourceType::kF32;
  std::vector<size_t> shape;
};

// Writes tensors in the order they were announced: construct, then Append bytes
// of the first until it is full, then of the second …, then Finish. A span may
// reach from one tensor into the next; tensors of no elements take none. Without
// Finish nothing appears under `path`. One thread at a time. Throws Error kIo.
class TensorWriter {
 public:
  // The container follows the ending: `.pth` is a torch.save zip (opens in
  // PyTorch with weights_only=True as a dict of tensors), anything else safetensors.
  // `metadata` is kept by safetensors only. Throws Error kBadInput for a name
  // twice or not UTF-8, for a type that the container does not have, and for
  // .pth with metadata that reading needs, which says its "kind".
  static std::unique_ptr<TensorWriter> Create(
      const std::filesystem::path& path, std::vector<TensorSpec> specs,
      const std::map<std::string, std::string>& metadata = {});
  virtual ~TensorWriter() = default;
  virtual void Append(std::span<const std::byte> bytes) = 0;
  // Everything announced must have been appended. `check` as AtomicFile::Commit
  // has it: what it refuses does not appear under `path`.
  using Check = std::function<void(const std::filesystem::path& written)>;
  virtual void Finish(const Check& check) = 0;
  void Finish() { Finish({}); }

  // Appends values rounded to `type`, the float type of the tensor now being written.
  void AppendFloats(SourceType type, std::span<const float> values);
};

}  // namespace linnet

#endif  // LINNET_IO_TENSOR_WRITER_H_
