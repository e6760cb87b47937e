// PackedWriter: values in, a packed file out, a few megabytes at a time.
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

// A tensor to be written: its logical shape, and how it is stored.
struct PackedSpec {
  std::string name;
  Layout layout = Layout::kPlain;
  DType dtype = DType::kF32;                 // of other layouts than kPlain
  SourceType plain_type = SourceType::kF32;  // of kPlain
  std::vector<size_t> shape;

  size_t elements() const;
  uint64_t bytes() const;  // in the file
};

// How a model's tensor of this name and shape is stored. `tensor` may lack its
// data. Vectors and norms become f32; what holds no floats stays as it is.
PackedSpec SpecOf(const TensorView& tensor, const std::vector<size_t>& shape,
                  const Packing& packing);

// Writes the tensors in the order of specs(). Without Finish nothing appears
// under `path`. Holds one low-rank factor, of anything else a few rows of
// panels. One thread at a time. Throws Error kIo.
class PackedWriter {
 public:
  PackedWriter(const std::filesystem::path& path, const Config& config,
               const std::string& model_hash, std::vector<PackedSpec> specs, ThreadPool& pool);

  // Panels come first: they must be aligned, and each is a multiple of 64 bytes.
  std::span<const PackedSpec> specs() const { return specs_; }

  // The next values of the tensor now being written, row after row of its
  // shape; never beyond its end. Those of matrices fit their format (FindUnfit).
  void Append(std::span<const float> values);
  // Or its next bytes as the file has them.
  void AppendBytes(std::span<const std::byte> bytes);
  // Everything announced must have been appended.
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
  size_t current_ = 0, group_ = 0;  // values that are packed together
  size_t values_left_ = 0;
  uint64_t bytes_left_ = 0;
  std::vector<float> pending_;
  std::vector<std::byte> packed_;
};

}  // namespace linnet

#endif  // LINNET_MODELS_PACKED_WRITER_H_
