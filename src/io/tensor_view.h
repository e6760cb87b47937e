// TensorView: a named, strided tensor inside a mapped file, and its values as f32.
#ifndef LINNET_IO_TENSOR_VIEW_H_
#define LINNET_IO_TENSOR_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

class StoredRecord;

// The type of an element in the file.
enum class SourceType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kU16,
  kU32,
  kU64,
  kF8E4M3,
  kF8E5M2,
};

const char* Name(SourceType type);  // "F32", "BF16" …, safetensors' spelling
std::optional<SourceType> SourceTypeOf(std::string_view name);
size_t ElementBytes(SourceType type);
bool IsFloat(SourceType type);

// Values that are not stored one by one: panels, or blocks that share a scale. Read as a matrix.
// Immutable: any number of threads may read at the same time.
class Encoding {
 public:
  virtual ~Encoding() = default;
  virtual const char* type_name() const = 0;  // "int8", for messages
  virtual size_t rows() const = 0;
  virtual size_t cols() const = 0;
  virtual std::span<const std::byte> bytes() const = 0;  // the stored bytes
  // Writes rows [begin, begin + count) to `out`, contiguously.
  virtual void Read(size_t begin, size_t count, float* out) const = 0;
};

// One tensor of a file. The strides are in elements, so a transpose swaps two strides and a slice
// moves `data`. All of it was checked to be inside the file when it was opened. Valid as long as
// its TensorFile. Read values with the functions below, which check the bytes' checksum if the
// container has one; `data` itself is unchecked.
struct TensorView {
  std::string name;
  SourceType type = SourceType::kF32;
  std::vector<size_t> shape;
  std::vector<size_t> strides;
  const std::byte* data = nullptr;
  const StoredRecord* record = nullptr;  // null if the container has no checksums
  // Not null for encoded values. Then `data` is null, `type` is a type that can hold them, and
  // element 0 is element `first` of the encoding's row-major matrix.
  const Encoding* encoding = nullptr;
  size_t first = 0;
  const std::string* file = nullptr;  // file name, for messages; null if not from a file

  size_t elements() const;
  // Rows as ReadRows counts them: a vector or a scalar is one row.
  size_t rows() const { return shape.size() < 2 ? 1 : shape[0]; }
  size_t cols() const {
    return shape.size() < 2 ? elements() : rows() == 0 ? 0 : elements() / rows();
  }
  bool contiguous() const;
  // Removes leading dimensions of 1: [1, 1, C] becomes [C].
  TensorView Squeezed() const;
  TensorView Transposed() const;     // the last two dimensions swapped
  TensorView Index(size_t i) const;  // the i-th along the first dimension
  // [begin, begin + count) along the first dimension.
  TensorView Slice(size_t begin, size_t count) const;
};

// The number of elements of a tensor of this shape; 1 without dimensions.
size_t ElementsOf(const std::vector<size_t>& shape);

// Strides of a row-major tensor of this shape, in elements.
std::vector<size_t> ContiguousStrides(const std::vector<size_t>& shape);

// Converts to f32. The tensor is read as a matrix [shape[0], the rest] (a vector is one row), and
// rows [begin, begin + count) are written contiguously to `out`. The first read of a .pth tensor
// checks the CRC-32 of its whole storage. Throws Error kBadModel for integer tensors and for a
// wrong checksum. Any number of threads may read at the same time, also the same tensor.
void ReadRows(const TensorView& tensor, size_t begin, size_t count, float* out);
std::vector<float> ReadAll(const TensorView& tensor);

// Copies the same rows in the file's type: count * cols() * ElementBytes(type) bytes.
void CopyRows(const TensorView& tensor, size_t begin, size_t count, std::byte* out);

// All values of an integer or bool tensor. Throws Error kBadModel for floats,
// and for values above 2^63 - 1.
std::vector<int64_t> ReadInts(const TensorView& tensor);

}  // namespace linnet

#endif  // LINNET_IO_TENSOR_VIEW_H_
