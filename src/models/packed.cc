#include "models/packed.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/lower.h"
#include "io/ggml_tensor.h"
#include "io/quoted.h"
#include "kernels/matmul.h"
#include "kernels/range_check.h"
#include "linnet/error.h"
#include "models/schema.h"
#include "tensor/half.h"

namespace linnet {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kTableBlock = 64;  // embedding values per scale

bool EndsWith(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && text.substr(text.size() - ending.size()) == ending;
}

bool IsInteger(DType dtype) { return dtype == DType::kI8 || dtype == DType::kNF4; }

class TableEncoding final : public Encoding {
 public:
  TableEncoding(size_t rows, size_t cols, const std::byte* data)
      : rows_(rows), cols_(cols), data_(data) {}
  const char* type_name() const override { return Name(DType::kI8); }
  size_t rows() const override { return rows_; }
  size_t cols() const override { return cols_; }
  std::span<const std::byte> bytes() const override {
    return {data_, rows_ * TableRowBytes(cols_)};
  }
  void Read(size_t begin, size_t count, float* out) const override {
    for (size_t i = 0; i < count; ++i) {
      DecodeTableRow(data_ + (begin + i) * TableRowBytes(cols_), cols_, out + i * cols_);
    }
  }

 private:
  size_t rows_, cols_;
  const std::byte* data_;
};

}  // namespace

const char* Name(Layout layout) {
  switch (layout) {
    case Layout::kPlain:
      return "plain";
    case Layout::kPanels:
      return "panels";
    case Layout::kPanelsTransposed:
      return "panels-transposed";
    case Layout::kRows:
      return "rows";
  }
  return "?";
}

Layout LayoutOf(const std::string& name, size_t dimensions) {
  const ParameterSpec* p = FindParameter(name);
  const bool stack = p != nullptr && p->role == ParameterRole::kFactor && dimensions == 3;
  if (p == nullptr || (dimensions != 2 && !stack)) return Layout::kPlain;
  switch (p->role) {
    case ParameterRole::kTable:
      return Layout::kRows;
    case ParameterRole::kFactor:
      return Layout::kPanelsTransposed;
    case ParameterRole::kMatrix:
    case ParameterRole::kExpert:
      return Layout::kPanels;
    case ParameterRole::kVector:
      break;
  }
  return Layout::kPlain;
}

DType OwnType(const TensorView& t) {
  if (const auto* panels = dynamic_cast<const PanelEncoding*>(t.encoding)) return panels->dtype();
  if (dynamic_cast<const TableEncoding*>(t.encoding) != nullptr) return DType::kI8;
  if (t.type == SourceType::kF16) return DType::kF16;
  return t.type == SourceType::kBF16 ? DType::kBF16 : DType::kF32;
}

namespace {

// The largest magnitude for which neither the value nor its f16 scale rounds to infinity.
float LargestOf(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kI8:
    case DType::kNF4:
      return std::nextafter(65520.0f, 0.0f);
    case DType::kBF16:
      return std::bit_cast<float>(0x7f7f7fffu);
    case DType::kF32:
    case DType::kGgml:
      break;
  }
  return std::numeric_limits<float>::max();
}

}  // namespace

const float* FindUnfit(DType dtype, std::span<const float> values) {
  const float most = LargestOf(dtype);
  if (AllMagnitudesWithin(values.data(), values.size(), most)) return nullptr;
  return &*std::find_if(values.begin(), values.end(),
                        [&](float x) { return !(std::abs(x) <= most); });
}

Error UnfitError(const std::string& file, const std::string& name, DType dtype, float value) {
  if (!std::isfinite(value)) {
    return Error(
        ErrorKind::kBadModel,
        fmt::format("{}: {} holds {}, expected finite weights; the file is damaged", file, name,
                    std::isnan(value) ? "nan"
                    : value < 0       ? "-inf"
                                      : "inf"));
  }
  return Error(
      ErrorKind::kBadModel,
      fmt::format("{}: {} holds {}, which {} cannot (at most {}); use another type for it", file,
                  name, value, Name(dtype), dtype == DType::kBF16 ? "3.39e38" : "65504"));
}

SourceType HoldingType(DType dtype) {
  if (dtype == DType::kF16) return SourceType::kF16;
  return dtype == DType::kBF16 ? SourceType::kBF16 : SourceType::kF32;
}

std::string TypeName(const TensorView& t) {
  return Lower(t.encoding != nullptr ? t.encoding->type_name() : Name(t.type));
}

std::optional<DType> Packing::Wanted(const std::string& name) const {
  if (!type || (keep && keep(name))) return std::nullopt;
  if (head && name == "head.weight") return head;
  const auto place = SplitBlockName(name);
  return place && place->layer >= layers ? std::nullopt : type;
}

DType Packing::TypeOf(const TensorView& matrix, bool low_rank) const {
  const auto wanted = Wanted(matrix.name);
  if (!wanted) return OwnType(matrix);
  if (low_rank && factors) return *factors;
  return low_rank && IsInteger(*wanted) ? DType::kBF16 : *wanted;
}

DType Packing::PackedType(const TensorView& t, Layout layout) const {
  const bool factor = layout == Layout::kPanelsTransposed;
  const bool blocks = dynamic_cast<const GgmlMatrix*>(t.encoding) != nullptr;
  if (blocks && !Wanted(t.name)) return factor ? DType::kBF16 : DType::kI8;
  return layout == Layout::kRows ? TableType(t) : TypeOf(t, factor);
}

DType Packing::TableType(const TensorView& table) const {
  const auto wanted = Wanted(table.name);
  if (!wanted) return OwnType(table);
  return IsInteger(*wanted) ? DType::kI8 : *wanted;
}

std::span<const std::byte> PanelEncoding::bytes() const {
  return {data_, slices_ * PackedBytes(dtype_, out_, in_)};
}

Weight PanelEncoding::Slice(size_t slice) const {
  Weight w{dtype_, out_, in_, data_ + slice * PackedBytes(dtype_, out_, in_)};
  w.finite = finite_;
  return w;
}

void PanelEncoding::Read(size_t begin, size_t count, float* out) const {
  const size_t panel_bytes = PanelBytes(dtype_, in_);
  std::vector<float> panel;  // for reads that start inside a panel
  while (count > 0) {
    const size_t row = begin % out_, skip = row % kPanelRows;
    const size_t rows = std::min({kPanelRows - skip, out_ - row, count});
    const std::byte* data = Slice(begin / out_).data + row / kPanelRows * panel_bytes;
    if (skip == 0) {
      UnpackPanel(dtype_, data, rows, in_, out, in_);
    } else {
      panel.resize((skip + rows) * in_);
      UnpackPanel(dtype_, data, skip + rows, in_, panel.data(), in_);
      std::copy_n(panel.data() + skip * in_, rows * in_, out);
    }
    out += rows * in_;
    begin += rows;
    count -= rows;
  }
}

const PanelEncoding* PanelsOf(const TensorView& t) {
  const auto* panels = dynamic_cast<const PanelEncoding*>(t.encoding);
  return panels != nullptr && t.elements() == panels->rows() * panels->cols() ? panels : nullptr;
}

bool IsTable(const TensorView& t) {
  const auto* table = dynamic_cast<const TableEncoding*>(t.encoding);
  return table != nullptr && t.elements() == table->rows() * table->cols();
}

size_t TableRowBytes(size_t cols) {
  return (cols + kTableBlock - 1) / kTableBlock * sizeof(float) + cols;
}

void EncodeTableRow(const float* values, size_t cols, std::byte* row) {
  std::byte* codes = row + (TableRowBytes(cols) - cols);
  for (size_t begin = 0; begin < cols; begin += kTableBlock, row += sizeof(float)) {
    const size_t end = std::min(cols, begin + kTableBlock);
    float largest = 0;
    for (size_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(values[i]));
    const float scale = largest / 127;
    std::memcpy(row, &scale, sizeof(scale));
    for (size_t i = begin; i < end; ++i) {
      // NaN values, or a scale too small to divide by, give zeros.
      const float code = std::nearbyint(values[i] / scale);
      const bool good = code >= -127 && code <= 127;
      codes[i] = static_cast<std::byte>(static_cast<int8_t>(good ? code : 0));
    }
  }
}

void DecodeTableRow(const std::byte* row, size_t cols, float* values) {
  const std::byte* codes = row + (TableRowBytes(cols) - cols);
  for (size_t begin = 0; begin < cols; begin += kTableBlock, row += sizeof(float)) {
    float scale;
    std::memcpy(&scale, row, sizeof(scale));
    for (size_t i = begin; i < std::min(cols, begin + kTableBlock); ++i) {
      values[i] = scale * static_cast<float>(static_cast<int8_t>(codes[i]));
    }
  }
}

void RoundTableRow(DType dtype, size_t cols, float* values) {
  if (dtype == DType::kI8) {
    std::vector<std::byte> row(TableRowBytes(cols));
    EncodeTableRow(values, cols, row.data());
    return DecodeTableRow(row.data(), cols, values);
  }
  for (size_t i = 0; i < cols; ++i) {
    if (dtype == DType::kF16) values[i] = F16ToF32(F32ToF16(values[i]));
    if (dtype == DType::kBF16) values[i] = BF16ToF32(F32ToBF16(values[i]));
  }
}

namespace {

// The metadata of one tensor: "nf4 panels 2560 2560".
struct Note {
  DType dtype;
  Layout layout;
  std::vector<size_t> shape;
};

std::optional<Note> ParseNote(std::string_view text) {
  if (EndsWith(text, " ")) return std::nullopt;
  std::vector<std::string_view> words;
  while (!text.empty() && words.size() < 6) {
    const size_t space = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, space));
    text.remove_prefix(std::min(text.size(), space + 1));
  }
  if (!text.empty() || words.size() < 4) return std::nullopt;
  const auto dtype = ParseDType(words[0]);
  if (!dtype) return std::nullopt;
  Note note{*dtype, Layout::kPlain, {}};
  for (const Layout layout : {Layout::kPanels, Layout::kPanelsTransposed, Layout::kRows}) {
    if (words[1] == Name(layout)) note.layout = layout;
  }
  for (size_t i = 2; i < words.size(); ++i) {
    size_t n = 0;
    const char* end = words[i].data() + words[i].size();
    const auto found = std::from_chars(words[i].data(), end, n);
    // Limits sizes so that their product stays below 2^63 until it is compared with the file's
    // size.
    if (found.ec != std::errc() || found.ptr != end || n == 0 || n >> 40 != 0) return std::nullopt;
    note.shape.push_back(n);
  }
  const bool two = note.shape.size() == 2;
  const bool three = note.shape.size() == 3 && note.layout == Layout::kPanelsTransposed;
  const bool table = note.layout == Layout::kRows;
  if (note.layout == Layout::kPlain || (!two && !three) || (table && *dtype != DType::kI8)) {
    return std::nullopt;
  }
  return note;
}

class Reader {
 public:
  explicit Reader(const TensorFile& file) : file_(file) {}

  PackedTensors Read() {
    CheckVersion();
    const auto finite = file_.metadata().find(kFiniteKey);
    finite_ = finite != file_.metadata().end() && finite->second == Name(DType::kBF16);
    const std::string_view prefix = kPackedPrefix;
    for (const auto& [key, text] : file_.metadata()) {
      if (key.rfind(prefix, 0) != 0) continue;
      const std::string name = key.substr(prefix.size());
      if (file_.Find(name) == nullptr) Refuse(name, "is missing");
      notes_[name] = &text;
    }
    for (const TensorView& t : file_.tensors()) {
      const auto note = notes_.find(t.name);
      packed_.views.push_back(note == notes_.end() ? t : Encoded(t, *note->second));
    }
    return std::move(packed_);
  }

 private:
  [[noreturn]] void Refuse(const std::string& name, const std::string& what) const {
    throw Error(ErrorKind::kBadModel, fmt::format("{}: not a valid packed file: tensor {} {}",
                                                  file_.path().string(), Quoted(name), what));
  }

  void CheckVersion() const {
    const auto it = file_.metadata().find("version");
    const std::string version = it == file_.metadata().end() ? "?" : it->second;
    if (version == kPackedVersion) return;
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: a packed file of version '{}', expected {}; quantize the model "
                            "again with this version",
                            file_.path().string(), Quoted(version), kPackedVersion));
  }

  // The number of bytes for the note's sizes; nullopt if `bytes` cannot hold that many values.
  std::optional<size_t> BytesOf(const Note& note, size_t bytes) const {
    // Every format uses at least half a byte per value.
    size_t elements = 1;
    for (const size_t n : note.shape) {
      if (n > 2 * bytes / elements) return std::nullopt;
      elements *= n;
    }
    const size_t n = note.shape.size(), rows = note.shape[n - 2], cols = note.shape[n - 1];
    if (note.layout == Layout::kRows) return rows * TableRowBytes(cols);
    if (note.layout == Layout::kPanels) return PackedBytes(note.dtype, rows, cols);
    return (n == 3 ? note.shape[0] : 1) * PackedBytes(note.dtype, cols, rows);
  }

  TensorView Encoded(const TensorView& t, const std::string& text) {
    const auto note = ParseNote(text);
    if (!note) {
      Refuse(t.name,
             fmt::format("is described as '{}', expected a dtype, a layout and 2 or 3 sizes",
                         Quoted(text)));
    }
    if (t.type != SourceType::kU8 || t.shape.size() != 1) {
      Refuse(t.name,
             fmt::format("is {}[{}], expected bytes", TypeName(t), fmt::join(t.shape, ", ")));
    }
    const auto bytes = BytesOf(*note, t.elements());
    if (bytes != t.elements()) {
      Refuse(t.name, fmt::format("has {} bytes, expected {} for '{}'", t.elements(),
                                 bytes ? std::to_string(*bytes) : "more", Quoted(text)));
    }
    if (note->layout != Layout::kRows && reinterpret_cast<uintptr_t>(t.data) % kAlignment != 0) {
      Refuse(t.name, "is not 64-byte aligned in the file; another program has written it");
    }
    return View(t, *note);
  }

  TensorView View(const TensorView& t, const Note& note) {
    TensorView view{t.name, HoldingType(note.dtype), note.shape, ContiguousStrides(note.shape)};
    const size_t n = note.shape.size(), rows = note.shape[n - 2], cols = note.shape[n - 1];
    if (note.layout == Layout::kRows) {
      packed_.encodings.push_back(std::make_unique<TableEncoding>(rows, cols, t.data));
    } else {
      const bool transposed = note.layout == Layout::kPanelsTransposed;
      const size_t out = transposed ? cols : rows, in = transposed ? rows : cols;
      packed_.encodings.push_back(std::make_unique<PanelEncoding>(
          note.dtype, n == 3 ? note.shape[0] : 1, out, in, transposed,
          finite_ && note.dtype == DType::kBF16, t.data));
      if (transposed) {
        view.strides[n - 2] = 1;
        view.strides[n - 1] = in;
      }
    }
    view.encoding = packed_.encodings.back().get();
    return view;
  }

  const TensorFile& file_;
  std::map<std::string, const std::string*> notes_;
  bool finite_ = false;
  PackedTensors packed_;
};

}  // namespace

bool IsPacked(const TensorFile& file) {
  const auto kind = file.metadata().find("kind");
  return kind != file.metadata().end() && kind->second == kPackedKind;
}

PackedTensors OpenPacked(const TensorFile& file) { return Reader(file).Read(); }

}  // namespace linnet
