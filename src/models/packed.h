// Packed files: matrices stored as the panels that products read, mapped and used in place.
//
// The bytes are described in docs/format.md.
#ifndef LINNET_MODELS_PACKED_H_
#define LINNET_MODELS_PACKED_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "linnet/dtype.h"
#include "linnet/error.h"
#include "tensor/weight.h"

namespace linnet {

inline constexpr char kPackedKind[] = "linnet packed";  // metadata "kind"
inline constexpr char kPackedVersion[] = "1";           // metadata "version"
// Metadata "packed.NAME" describes the bytes of tensor NAME: dtype, layout, dimensions.
inline constexpr char kPackedPrefix[] = "packed.";
inline constexpr char kModelHashKey[] = "model_hash";
// Metadata "finite" is "bf16" if the writer found all bf16 matrices finite; this writer always
// requires that. Products may then skip inputs that are zero. Older files do not have the key.
inline constexpr char kFiniteKey[] = "finite";

// How a packed file stores a tensor of a model.
enum class Layout : uint8_t {
  kPlain,             // as in any safetensors file
  kPanels,            // [out, in]
  kPanelsTransposed,  // low-rank factors [in, out] or [slices, in, out]: the panels of their
                      // transposes, one matrix after another
  kRows,              // the embedding: int8 rows, each with its scales
};
const char* Name(Layout layout);  // "plain", "panels", "panels-transposed", "rows"

// The layout by name and number of dimensions, the same for all generations.
Layout LayoutOf(const std::string& name, size_t dimensions);

// The format of each matrix, at load or in a packed file, if not its own.
struct Packing {
  std::optional<DType> type{};
  size_t layers = SIZE_MAX;        // only the first `layers`; and tensors outside of layers
  std::optional<DType> head{};     // for head.weight, if not `type`
  std::optional<DType> factors{};  // for low-rank factors, if not what TypeOf says
  std::function<bool(const std::string&)> keep{};  // matrices that keep their format

  // Small and sensitive `low_rank` factors get at least bf16.
  DType TypeOf(const TensorView& matrix, bool low_rank) const;
  // For the embedding: its rows are int8 if other matrices are int8 or nf4.
  DType TableType(const TensorView& table) const;
  // For a packed file, which cannot contain ggml blocks. Block matrices that would keep their type
  // become int8, which has a similar error, while f32 would be four times as large. Factors become
  // bf16.
  DType PackedType(const TensorView& matrix, Layout layout) const;

 private:
  std::optional<DType> Wanted(const std::string& name) const;
};

// The format of a tensor's values; f32 for types that are not a DType.
DType OwnType(const TensorView& tensor);

// The first value that matrices of a format cannot hold: not finite, rounded to infinity, or too
// large for the f16 scale of its block. Null if there is none.
const float* FindUnfit(DType dtype, std::span<const float> values);
// The error for such a value: "FILE: NAME holds 1e5, which int8 cannot …".
Error UnfitError(const std::string& file, const std::string& name, DType dtype, float value);

// The file type that can represent all values of a format.
SourceType HoldingType(DType dtype);

// A tensor's type in lower case: "bf16", "i64", "nf4".
std::string TypeName(const TensorView& tensor);

// Consecutive matrices [out, in] of one format, each in panels.
class PanelEncoding final : public Encoding {
 public:
  // `finite`: whether all values are known to be finite.
  PanelEncoding(DType dtype, size_t slices, size_t out, size_t in, bool transposed, bool finite,
                const std::byte* data)
      : dtype_(dtype),
        slices_(slices),
        out_(out),
        in_(in),
        transposed_(transposed),
        finite_(finite),
        data_(data) {}

  const char* type_name() const override { return Name(dtype_); }
  size_t rows() const override { return slices_ * out_; }
  size_t cols() const override { return in_; }
  std::span<const std::byte> bytes() const override;
  void Read(size_t begin, size_t count, float* out) const override;

  DType dtype() const { return dtype_; }
  bool transposed() const { return transposed_; }  // the tensor shows [in, out]
  bool finite() const { return finite_; }
  Weight Slice(size_t slice) const;

 private:
  DType dtype_;
  size_t slices_, out_, in_;
  bool transposed_, finite_;
  const std::byte* data_;
};

// Null if the tensor is not a whole matrix, or a stack of matrices, in panels.
const PanelEncoding* PanelsOf(const TensorView& tensor);

// Whether a tensor is a whole embedding of int8 rows.
bool IsTable(const TensorView& tensor);

// Bytes of an embedding row: a scale per 64 values, then the values as int8.
size_t TableRowBytes(size_t cols);
void EncodeTableRow(const float* values, size_t cols, std::byte* row);
void DecodeTableRow(const std::byte* row, size_t cols, float* values);
// Rounds a row as this format would.
void RoundTableRow(DType dtype, size_t cols, float* values);

// Whether the file's metadata marks it as packed, in any version.
bool IsPacked(const TensorFile& file);

struct PackedTensors {
  std::vector<TensorView> views;  // with logical names and shapes
  std::vector<std::unique_ptr<Encoding>> encodings;
};

// The tensors of a packed file, which must outlive them. Every size is checked against the file's
// size. Throws Error kBadModel naming the tensor at fault.
PackedTensors OpenPacked(const TensorFile& file);

}  // namespace linnet

#endif  // LINNET_MODELS_PACKED_H_
