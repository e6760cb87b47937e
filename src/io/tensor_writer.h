// Writers of checkpoints: streamed safetensors and .pth files that appear only when complete.
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

// A tensor to write: contiguous, row-major.
struct TensorSpec {
  std::string name;
  SourceType type = SourceType::kF32;
  std::vector<size_t> shape;
};

// Writes tensors in the order they were announced: construct, then Append the bytes of the first
// until it is full, then of the second, …, then Finish. A span may contain bytes of several
// tensors; empty tensors take no bytes. Without Finish no file appears under `path`. Not
// thread-safe. Throws Error kIo.
class TensorWriter {
 public:
  // The file extension selects the container: `.pth` is a torch.save zip (PyTorch opens it with
  // weights_only=True as a dict of tensors), anything else safetensors. Only safetensors stores
  // `metadata`. Throws Error kBadInput for a name that is duplicate or not UTF-8, for a type that
  // the container does not support, and for .pth with metadata that readers need, which is metadata
  // with a "kind".
  static std::unique_ptr<TensorWriter> Create(
      const std::filesystem::path& path, std::vector<TensorSpec> specs,
      const std::map<std::string, std::string>& metadata = {});
  // Safetensors at the end of `to`, which must live until Finish.
  static std::unique_ptr<TensorWriter> CreateInMemory(
      std::vector<std::byte>& to, std::vector<TensorSpec> specs,
      const std::map<std::string, std::string>& metadata = {});
  // The same of a .pth file.
  static std::unique_ptr<TensorWriter> CreateTorchInMemory(std::vector<std::byte>& to,
                                                           std::vector<TensorSpec> specs);
  virtual ~TensorWriter() = default;
  virtual void Append(std::span<const std::byte> bytes) = 0;
  // Completes the file. All announced tensors must have been appended. `check` is as in
  // AtomicFile::Commit: if it throws, the file does not appear under `path`.
  using Check = std::function<void(const std::filesystem::path& written)>;
  virtual void Finish(const Check& check) = 0;
  void Finish() { Finish({}); }

  // Appends values rounded to `type`, which must be the float type of the current tensor.
  void AppendFloats(SourceType type, std::span<const float> values);
};

// What precedes the tensors' bytes in a safetensors file; a multiple of 64 bytes. `file` is for the
// message. Throws Error kBadInput for a tensor named __metadata__.
std::string SafetensorsHeader(const std::string& file, std::span<const TensorSpec> specs,
                              const std::map<std::string, std::string>& metadata);

}  // namespace linnet

#endif  // LINNET_IO_TENSOR_WRITER_H_
