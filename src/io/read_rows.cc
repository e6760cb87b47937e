#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "fmt/format.h"
#include "io/quoted.h"
#include "io/stored_record.h"
#include "io/tensor_view.h"
#include "linnet/error.h"
#include "tensor/half.h"

namespace linnet {
namespace {

// The bytes may be unaligned: safetensors does not guarantee alignment.
template <class T>
inline T Load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

// Masks instead of branches, so that the compiler can vectorize it. A subnormal half is mantissa *
// 2^-24: as bits of a float with exponent 113 it is 2^-14 too large.
inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t magnitude = uint32_t{half & 0x7fffu} << 13;
  const uint32_t exponent = magnitude & 0x0f800000u;
  const uint32_t infinite = -static_cast<uint32_t>(exponent == 0x0f800000u);
  const uint32_t subnormal = -static_cast<uint32_t>(exponent == 0);
  const uint32_t normal = magnitude + (112u << 23) + ((112u << 23) & infinite);
  const float small = std::bit_cast<float>(magnitude + (113u << 23)) - 0x1p-14f;
  const uint32_t bits = (std::bit_cast<uint32_t>(small) & subnormal) | (normal & ~subnormal);
  return std::bit_cast<float>(sign | bits);
}

// OCP 8-bit floats: E4M3 has no infinity and one NaN, E5M2 is half a binary16.
float Float8ToFloat(SourceType type, uint8_t bits) {
  if (type == SourceType::kF8E5M2) return F16ToF32(static_cast<uint16_t>(bits << 8));
  const int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  float value = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-9f
                              : std::bit_cast<float>((static_cast<uint32_t>(exponent + 120) << 23) |
                                                     (static_cast<uint32_t>(mantissa) << 20));
  if ((bits & 0x7f) == 0x7f) value = std::numeric_limits<float>::quiet_NaN();
  return (bits & 0x80) != 0 ? -value : value;
}

void Convert(SourceType type, const std::byte* in, size_t count, float* out) {
  switch (type) {
    case SourceType::kF32:
      if (count != 0) std::memcpy(out, in, count * sizeof(float));
      return;
    case SourceType::kBF16:
      for (size_t i = 0; i < count; ++i) out[i] = BF16ToF32(Load<uint16_t>(in + 2 * i));
      return;
    case SourceType::kF16:
      for (size_t i = 0; i < count; ++i) out[i] = HalfToFloat(Load<uint16_t>(in + 2 * i));
      return;
    case SourceType::kF64:
      for (size_t i = 0; i < count; ++i) out[i] = static_cast<float>(Load<double>(in + 8 * i));
      return;
    default:
      for (size_t i = 0; i < count; ++i) out[i] = Float8ToFloat(type, Load<uint8_t>(in + i));
      return;
  }
}

// Rows of a view. Inner dimensions are merged where they are contiguous.
struct RowShape {
  size_t stride = 0;                   // between rows, in elements
  std::vector<size_t> shape, strides;  // within a row; at least one dimension
  size_t cols = 0;

  explicit RowShape(const TensorView& view) : cols(view.cols()) {
    const bool matrix = view.shape.size() >= 2;
    if (matrix) stride = view.strides[0];
    for (size_t i = matrix ? 1 : 0; i < view.shape.size(); ++i) {
      if (view.shape[i] == 1) continue;
      if (!shape.empty() && strides.back() == view.strides[i] * view.shape[i]) {
        shape.back() *= view.shape[i];
        strides.back() = view.strides[i];
      } else {
        shape.push_back(view.shape[i]);
        strides.push_back(view.strides[i]);
      }
    }
    if (shape.empty()) {
      shape.push_back(1);
      strides.push_back(1);
    }
  }
  bool contiguous() const { return shape.size() == 1 && strides[0] == 1; }
};

// In square tiles, so that a transposed matrix loads each cache line only once.
template <class T>
void GatherMatrix(const std::byte* in, size_t row_stride, size_t col_stride, size_t rows,
                  size_t cols, std::byte* out) {
  constexpr size_t kSquare = 32;
  for (size_t r0 = 0; r0 < rows; r0 += kSquare) {
    for (size_t c0 = 0; c0 < cols; c0 += kSquare) {
      const size_t r1 = std::min(rows, r0 + kSquare), c1 = std::min(cols, c0 + kSquare);
      for (size_t r = r0; r < r1; ++r) {
        for (size_t c = c0; c < c1; ++c) {
          std::memcpy(out + (r * cols + c) * sizeof(T),
                      in + (r * row_stride + c * col_stride) * sizeof(T), sizeof(T));
        }
      }
    }
  }
}

template <class T>
void GatherRow(const std::byte* in, const RowShape& row, std::byte* out) {
  const size_t last = row.shape.size() - 1;
  std::vector<size_t> index(last, 0);
  for (size_t done = 0; done < row.cols; done += row.shape[last]) {
    size_t offset = 0;
    for (size_t i = 0; i < last; ++i) offset += index[i] * row.strides[i];
    GatherMatrix<T>(in + offset * sizeof(T), 0, row.strides[last], 1, row.shape[last],
                    out + done * sizeof(T));
    for (size_t i = last; i-- > 0 && ++index[i] == row.shape[i];) index[i] = 0;
  }
}

template <class T>
void Gather(const std::byte* in, const RowShape& row, size_t rows, std::byte* out) {
  if (row.shape.size() == 1) {
    GatherMatrix<T>(in, row.stride, row.strides[0], rows, row.cols, out);
    return;
  }
  for (size_t r = 0; r < rows; ++r) {
    GatherRow<T>(in + r * row.stride * sizeof(T), row, out + r * row.cols * sizeof(T));
  }
}

void Gather(size_t element, const std::byte* in, const RowShape& row, size_t rows, std::byte* out) {
  switch (element) {
    case 1:
      return Gather<uint8_t>(in, row, rows, out);
    case 2:
      return Gather<uint16_t>(in, row, rows, out);
    case 4:
      return Gather<uint32_t>(in, row, rows, out);
    default:
      return Gather<uint64_t>(in, row, rows, out);
  }
}

void CheckRange(const TensorView& tensor, size_t begin, size_t count) {
  LINNET_CHECK(begin <= tensor.rows() && count <= tensor.rows() - begin);
  if (tensor.record != nullptr) tensor.record->Check();
}

// Decodes the encoding's rows that contain rows [begin, begin + count) and copies the values from
// them.
void ReadEncoded(const TensorView& tensor, size_t begin, size_t count, float* out) {
  const RowShape row(tensor);
  if (count == 0 || row.cols == 0) return;
  const Encoding& matrix = *tensor.encoding;
  const size_t cols = matrix.cols(), low = tensor.first + begin * row.stride;
  const bool in_order = row.contiguous() && (count == 1 || row.stride == row.cols);
  if (in_order && low % cols == 0 && count * row.cols % cols == 0) {
    return matrix.Read(low / cols, count * row.cols / cols, out);
  }
  size_t high = low + (count - 1) * row.stride;
  for (size_t i = 0; i < row.shape.size(); ++i) high += (row.shape[i] - 1) * row.strides[i];
  const size_t first = low / cols, rows = high / cols - first + 1;
  std::vector<float> values(rows * cols);
  matrix.Read(first, rows, values.data());
  Gather<float>(reinterpret_cast<const std::byte*>(values.data() + (low - first * cols)), row,
                count, reinterpret_cast<std::byte*>(out));
}

void CopyEncoded(const TensorView& tensor, size_t begin, size_t count, std::byte* out) {
  std::vector<float> values(count * tensor.cols());
  if (values.empty()) return;
  ReadEncoded(tensor, begin, count, values.data());
  const auto narrow = [&](uint16_t (*round)(float)) {
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t bits = round(values[i]);
      std::memcpy(out + 2 * i, &bits, sizeof(bits));
    }
  };
  if (tensor.type == SourceType::kF16) return narrow(F32ToF16);
  if (tensor.type == SourceType::kBF16) return narrow(F32ToBF16);
  LINNET_CHECK(tensor.type == SourceType::kF32);
  std::memcpy(out, values.data(), values.size() * sizeof(float));
}

// "model.pth: ", the start of a message.
std::string FileOf(const TensorView& tensor) {
  return tensor.file == nullptr ? std::string() : *tensor.file + ": ";
}

Error WrongType(const TensorView& tensor, const char* wanted) {
  return Error(ErrorKind::kBadModel, fmt::format("{}tensor {} is {}, expected {}", FileOf(tensor),
                                                 Quoted(tensor.name), Name(tensor.type), wanted));
}

template <class T>
void Widen(const std::vector<std::byte>& bytes, std::vector<int64_t>& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<int64_t>(Load<T>(bytes.data() + i * sizeof(T)));
  }
}

}  // namespace

void ReadRows(const TensorView& tensor, size_t begin, size_t count, float* out) {
  if (!IsFloat(tensor.type)) throw WrongType(tensor, "a float type");
  CheckRange(tensor, begin, count);
  if (tensor.encoding != nullptr) return ReadEncoded(tensor, begin, count, out);
  const RowShape row(tensor);
  if (count == 0 || row.cols == 0) return;
  const size_t element = ElementBytes(tensor.type);
  const std::byte* in = tensor.data + begin * row.stride * element;
  if (row.contiguous() && (count == 1 || row.stride == row.cols)) {
    return Convert(tensor.type, in, count * row.cols, out);
  }
  // About 256 KB at a time, in whole tiles of GatherMatrix.
  const size_t block =
      std::min(count, std::max<size_t>((size_t{1} << 18) / row.cols / 32 * 32, 32));
  std::vector<std::byte> buffer;
  if (!row.contiguous()) buffer.resize(block * row.cols * element);
  for (size_t r = 0; r < count; r += block) {
    const size_t rows = std::min(block, count - r);
    const std::byte* at = in + r * row.stride * element;
    if (!row.contiguous()) {
      Gather(element, at, row, rows, buffer.data());
      Convert(tensor.type, buffer.data(), rows * row.cols, out + r * row.cols);
      continue;
    }
    for (size_t i = 0; i < rows; ++i) {
      Convert(tensor.type, at + i * row.stride * element, row.cols, out + (r + i) * row.cols);
    }
  }
}

std::vector<float> ReadAll(const TensorView& tensor) {
  std::vector<float> out(tensor.elements());
  ReadRows(tensor, 0, tensor.rows(), out.data());
  return out;
}

void CopyRows(const TensorView& tensor, size_t begin, size_t count, std::byte* out) {
  CheckRange(tensor, begin, count);
  if (tensor.encoding != nullptr) return CopyEncoded(tensor, begin, count, out);
  const RowShape row(tensor);
  if (count == 0 || row.cols == 0) return;
  const size_t element = ElementBytes(tensor.type);
  const std::byte* in = tensor.data + begin * row.stride * element;
  if (row.contiguous() && (count == 1 || row.stride == row.cols)) {
    std::memcpy(out, in, count * row.cols * element);
  } else {
    Gather(element, in, row, count, out);
  }
}

std::vector<int64_t> ReadInts(const TensorView& tensor) {
  if (IsFloat(tensor.type)) throw WrongType(tensor, "an integer type");
  std::vector<int64_t> out(tensor.elements());
  std::vector<std::byte> bytes(out.size() * ElementBytes(tensor.type));
  CopyRows(tensor, 0, tensor.rows(), bytes.data());
  switch (tensor.type) {
    case SourceType::kI8:
      Widen<int8_t>(bytes, out);
      break;
    case SourceType::kU8:
    case SourceType::kBool:
      Widen<uint8_t>(bytes, out);
      break;
    case SourceType::kI16:
      Widen<int16_t>(bytes, out);
      break;
    case SourceType::kU16:
      Widen<uint16_t>(bytes, out);
      break;
    case SourceType::kI32:
      Widen<int32_t>(bytes, out);
      break;
    case SourceType::kU32:
      Widen<uint32_t>(bytes, out);
      break;
    default:
      Widen<int64_t>(bytes, out);
      break;
  }
  if (tensor.type == SourceType::kU64 &&
      std::any_of(out.begin(), out.end(), [](int64_t value) { return value < 0; })) {
    throw Error(ErrorKind::kBadModel, fmt::format("{}tensor {} holds a value above 2^63 - 1",
                                                  FileOf(tensor), Quoted(tensor.name)));
  }
  return out;
}

}  // namespace linnet
