// TensorFile: a checkpoint of any container format as a list of named, strided tensors.
#ifndef LINNET_IO_TENSOR_FILE_H_
#define LINNET_IO_TENSOR_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"

namespace linnet {

// What an element is in the file.
enum class SourceType : uint8_t { kF32, kF16, kBF16, kF64, kI64, kI32, kI16, kI8, kU8, kBool };

const char* Name(SourceType type);  // "F32", "BF16" …, safetensors' spelling
size_t ElementBytes(SourceType type);

// One tensor of a file. The strides are in elements, so a transpose is a swap
// of two strides and a slice is a moved `data`; all of it was checked to lie
// inside the file when it was opened.
struct TensorView {
  std::string name;
  SourceType type = SourceType::kF32;
  std::vector<size_t> shape;
  std::vector<size_t> strides;
  const std::byte* data = nullptr;

  size_t elements() const;
  bool contiguous() const;
  // Without leading dimensions of 1: [1, 1, C] is [C].
  TensorView Squeezed() const;
  TensorView Transposed() const;           // the last two dimensions swapped
  TensorView Index(size_t i) const;        // the i-th along the first dimension
};

// Converts to f32. The tensor is seen as [shape[0], the rest] (a vector is one
// row), and rows [begin, begin + count) are written one after another to `out`.
// Throws Error kBadModel for integer tensors.
void ReadRows(const TensorView& tensor, size_t begin, size_t count, float* out);
std::vector<float> ReadAll(const TensorView& tensor);

enum class Container : uint8_t { kSafetensors, kTorchZip, kGguf, kGgmf };

// Immutable once open, so any number of threads may read it.
class TensorFile {
 public:
  // Maps the file, sniffing its container; for a `*.safetensors.index.json`, or a
  // folder that has one (or one model.safetensors), maps all shards.
  // Throws Error kIo if it cannot be read, kBadModel with the one line that says
  // what the file is instead (truncated download, optimizer state, HTML page …).
  // Every size and offset is checked before use; nothing is allocated that is
  // larger than a small multiple of the file.
  static TensorFile Open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  Container container() const { return container_; }
  std::span<const TensorView> tensors() const { return tensors_; }
  const TensorView* Find(const std::string& name) const;  // null if absent
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  uint64_t file_bytes() const;

  // Gives back the memory of the pages that hold the tensor's bytes.
  void Drop(const TensorView& tensor) const noexcept;

 private:
  std::filesystem::path path_;
  Container container_ = Container::kSafetensors;
  std::vector<MappedFile> maps_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace linnet

#endif  // LINNET_IO_TENSOR_FILE_H_
