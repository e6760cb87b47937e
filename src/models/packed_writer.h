// PackedWriter: writes a packed file from values, a few megabytes at a time.
#ifndef LINNET_MODELS_PACKED_WRITER_H_
#define LINNET_MODELS_PACKED_WRITER_H_

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "io/tensor_writer.h"
#include "linnet/config.h"
#include "models/packed.h"

namespace linnet {

// A tensor to write: its logical shape, and how it is stored.
struct PackedSpec {
  std::string name;
  Layout layout = Layout::kPlain;
  DType dtype = DType::kF32;                 // for layouts other than kPlain
  SourceType plain_type = SourceType::kF32;  // of kPlain
  std::vector<size_t> shape;

  size_t elements() const;
  uint64_t bytes() const;  // in the file
};

// The spec for a model's tensor of this name and shape. `tensor` needs no data. Vectors and norms
// become f32; tensors without floats keep their type.
PackedSpec SpecOf(const TensorView& tensor, const std::vector<size_t>& shape,
                  const Packing& packing);

// Writes the tensors in the order of specs(). Without Finish no file appears under `path`. Keeps
// one low-rank factor in memory, for other tensors a few rows of panels. Not thread-safe. Throws
// Error kIo.
class PackedWriter {
 public:
  PackedWriter(const std::filesystem::path& path, const Config& config,
               const std::string& model_hash, std::vector<PackedSpec> specs, ThreadPool& pool);

  // Panels come first, because they must be aligned and each is a multiple of 64 bytes.
  std::span<const PackedSpec> specs() const { return specs_; }

  // Appends the next values of the current tensor, row by row in its shape, never past its end.
  // Values of matrices must fit their format (FindUnfit).
  void Append(std::span<const float> values);
  // Appends the next bytes of the current tensor in the file's format.
  void AppendBytes(std::span<const std::byte> bytes);
  // Completes the file. All announced tensors must have been appended.
  void Finish();

 private:
  void Begin();
  void Flush();
  void WritePanels(std::span<const float> values);
  void WriteTransposed(const PackedSpec& spec);
  void WriteRows(std::span<const float> values);

  std::vector<PackedSpec> specs_;
  ThreadPool& pool_;
  std::unique_ptr<TensorWriter> writer_;
  size_t current_ = 0, group_ = 0;  // values packed at a time
  size_t values_left_ = 0;
  uint64_t bytes_left_ = 0;
  std::vector<float> pending_;
  std::vector<std::byte> packed_;
};

}  // namespace linnet

#endif  // LINNET_MODELS_PACKED_WRITER_H_
