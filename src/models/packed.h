// Packed files: matrices stored as the panels that products read, mapped and run as they lie.
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
// Metadata "packed.NAME" says what the bytes of tensor NAME are: dtype, layout, dimensions.
inline constexpr char kPackedPrefix[] = "packed.";
inline constexpr char kModelHashKey[] = "model_hash";
// Metadata "finite" is "bf16" if the writer found all bf16 matrices finite, as this one always
// does: then products may leave out inputs that are zero. Older files do not say.
inline constexpr char kFiniteKey[] = "finite";

// How a tensor of a model is stored in a packed file.
enum class Layout : uint8_t {
  kPlain,             // as any safetensors file has it
  kPanels,            // [out, in]
  kPanelsTransposed,  // low-rank factors [in, out] or [slices, in, out]: the panels of their
                      // transposes, one matrix after another
  kRows,              // the embedding: int8 rows, each with its scales
};
const char* Name(Layout layout);  // "plain", "panels", "panels-transposed", "rows"

// By name and dimensions, the same for all generations.
Layout LayoutOf(const std::string& name, size_t dimensions);

// Which format each matrix gets, at load or in a packed file, if not its own.
struct Packing {
  std::optional<DType> type{};
  size_t layers = SIZE_MAX;        // the first so many; what stands outside of all layers too
  std::optional<DType> head{};     // of head.weight, if not `type`
  std::optional<DType> factors{};  // of low-rank factors, if not what TypeOf says
  std::function<bool(const std::string&)> keep{};  // matrices that stay as they are

  // `low_rank` factors are small and sensitive: bf16 at the least.
  DType TypeOf(const TensorView& matrix, bool low_rank) const;
  // Of the embedding: its rows are int8 where other matrices are int8 or nf4.
  DType TableType(const TensorView& table) const;
  // In a packed file, which has no ggml blocks: those that keep their type become int8, with an
  // error next to theirs, where f32 would take four times as much. Factors become bf16.
  DType PackedType(const TensorView& matrix, Layout layout) const;

 private:
  std::optional<DType> Wanted(const std::string& name) const;
};

// The format whose values a tensor holds: f32 for those that no format has.
DType OwnType(const TensorView& tensor);

// The first of values that matrices of a format cannot hold: no finite number, or rounded to none,
// or too large for the f16 scale of its block. Null if there is none.
const float* FindUnfit(DType dtype, std::span<const float> values);
// What is to be said of it: "FILE: NAME holds 1e5, which int8 cannot …".
Error UnfitError(const std::string& file, const std::string& name, DType dtype, float value);

// The file type that holds all values of a format.
SourceType HoldingType(DType dtype);

// "bf16", "i64", "nf4": a tensor's type in lower case.
std::string TypeName(const TensorView& tensor);

// Matrices [out, in] of one format, each in panels, one after another.
class PanelEncoding final : public Encoding {
 public:
  // `finite`: whether all values are known to be.
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

// Null if the tensor is not a whole matrix, or stack of matrices, in panels.
const PanelEncoding* PanelsOf(const TensorView& tensor);

// Whether a tensor is a whole embedding of int8 rows.
bool IsTable(const TensorView& tensor);

// A row of the embedding: a scale for each 64 values, then the values as int8.
size_t TableRowBytes(size_t cols);
void EncodeTableRow(const float* values, size_t cols, std::byte* row);
void DecodeTableRow(const std::byte* row, size_t cols, float* values);
// What a row of this format gives back.
void RoundTableRow(DType dtype, size_t cols, float* values);

// Whether the file says of itself that it is packed, in any version.
bool IsPacked(const TensorFile& file);

struct PackedTensors {
  std::vector<TensorView> views;  // under their logical names and shapes
  std::vector<std::unique_ptr<Encoding>> encodings;
};

// The tensors of a packed file, which must outlive them. Every size is checked
// against the file's bytes. Throws Error kBadModel naming the tensor at fault.
PackedTensors OpenPacked(const TensorFile& file);

}  // namespace linnet

#endif  // LINNET_MODELS_PACKED_H_
