#include "models/packed_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "io/stream_writer.h"
#include "kernels/matmul.h"
#include "models/header.h"

namespace linnet {
namespace {

constexpr size_t kGroup = size_t{4} << 20;  // packed at a time, or one panel

bool IsPanels(Layout layout) {
  return layout == Layout::kPanels || layout == Layout::kPanelsTransposed;
}

// The dimensions [slices, out, in] of a tensor in panels.
struct Matrices {
  size_t slices, out, in;
};
Matrices MatricesOf(const PackedSpec& spec) {
  const size_t n = spec.shape.size(), rows = spec.shape[n - 2], cols = spec.shape[n - 1];
  if (spec.layout != Layout::kPanelsTransposed) return {1, rows, cols};
  return {n == 3 ? spec.shape[0] : 1, cols, rows};
}

std::map<std::string, std::string> MetadataOf(const Config& config, const std::string& model_hash,
                                              std::span<const PackedSpec> specs) {
  std::map<std::string, std::string> metadata = {{"kind", kPackedKind},
                                                 {"version", kPackedVersion},
                                                 {kModelHashKey, model_hash},
                                                 {kFiniteKey, Name(DType::kBF16)},
                                                 {"generation", Name(config.generation)},
                                                 {"layers", std::to_string(config.layers)},
                                                 {"width", std::to_string(config.width)},
                                                 {"vocab", std::to_string(config.vocab)}};
  metadata.merge(EpsilonMetadata(config));
  for (const PackedSpec& spec : specs) {
    if (spec.layout == Layout::kPlain) continue;
    metadata[kPackedPrefix + spec.name] =
        fmt::format("{} {} {}", Name(spec.dtype), Name(spec.layout), fmt::join(spec.shape, " "));
  }
  return metadata;
}

}  // namespace

size_t PackedSpec::elements() const { return ElementsOf(shape); }

uint64_t PackedSpec::bytes() const {
  if (layout == Layout::kPlain) return elements() * ElementBytes(plain_type);
  if (layout == Layout::kRows) return shape[0] * TableRowBytes(shape[1]);
  const Matrices m = MatricesOf(*this);
  return m.slices * PackedBytes(dtype, m.out, m.in);
}

PackedSpec SpecOf(const TensorView& t, const std::vector<size_t>& shape, const Packing& packing) {
  PackedSpec spec{t.name, LayoutOf(t.name, shape.size()), DType::kF32, SourceType::kF32, shape};
  if (!IsFloat(t.type)) spec.plain_type = t.type;
  if (!IsFloat(t.type) || spec.elements() == 0) spec.layout = Layout::kPlain;
  if (IsPanels(spec.layout)) {
    spec.dtype = packing.PackedType(t, spec.layout);
  } else if (spec.layout == Layout::kRows) {
    spec.dtype = packing.PackedType(t, spec.layout);
    if (spec.dtype != DType::kI8) {
      spec.layout = Layout::kPlain;
      spec.plain_type = HoldingType(spec.dtype);
    }
  }
  return spec;
}

PackedWriter::PackedWriter(const std::filesystem::path& path, const Config& config,
                           const std::string& model_hash, std::vector<PackedSpec> specs,
                           ThreadPool& pool)
    : specs_(std::move(specs)), pool_(pool) {
  std::stable_partition(specs_.begin(), specs_.end(),
                        [](const PackedSpec& spec) { return IsPanels(spec.layout); });
  std::vector<TensorSpec> stored;
  for (const PackedSpec& spec : specs_) {
    if (spec.layout == Layout::kPlain) {
      stored.push_back({spec.name, spec.plain_type, spec.shape});
    } else {
      stored.push_back({spec.name, SourceType::kU8, {spec.bytes()}});
    }
  }
  writer_ = NewSafetensorsWriter(path, std::move(stored), MetadataOf(config, model_hash, specs_));
  Begin();
}

// Opens tensor `current_`, or the first non-empty one after it.
void PackedWriter::Begin() {
  while (current_ < specs_.size() && specs_[current_].elements() == 0) ++current_;
  if (current_ == specs_.size()) return;
  const PackedSpec& spec = specs_[current_];
  values_left_ = spec.elements();
  bytes_left_ = spec.bytes();
  group_ = values_left_;
  if (spec.layout == Layout::kPanelsTransposed || spec.layout == Layout::kPlain) return;
  const size_t unit = spec.layout == Layout::kPanels ? kPanelRows * spec.shape[1] : spec.shape[1];
  group_ = std::max<size_t>(1, kGroup / unit) * unit;
}

void PackedWriter::Append(std::span<const float> values) {
  while (!values.empty()) {
    LINNET_CHECK(current_ < specs_.size() && values.size() <= values_left_);
    const PackedSpec& spec = specs_[current_];
    const bool plain = spec.layout == Layout::kPlain;
    const size_t count = plain ? values.size() : std::min(values.size(), group_ - pending_.size());
    if (plain) {
      writer_->AppendFloats(spec.plain_type, values);
    } else {
      pending_.insert(pending_.end(), values.begin(), values.begin() + count);
    }
    values = values.subspan(count);
    values_left_ -= count;
    if (pending_.size() == group_ || values_left_ == 0) Flush();
    if (values_left_ != 0) continue;
    ++current_;
    Begin();
  }
}

void PackedWriter::AppendBytes(std::span<const std::byte> bytes) {
  LINNET_CHECK(current_ < specs_.size() && bytes.size() <= bytes_left_ && pending_.empty());
  writer_->Append(bytes);
  bytes_left_ -= bytes.size();
  if (bytes_left_ != 0) return;
  ++current_;
  Begin();
}

void PackedWriter::Flush() {
  if (pending_.empty()) return;
  const PackedSpec& spec = specs_[current_];
  if (spec.layout == Layout::kRows) {
    WriteRows(pending_);
  } else if (spec.layout == Layout::kPanels) {
    WritePanels(pending_);
  } else {
    WriteTransposed(spec);
  }
  pending_.clear();
}

void PackedWriter::WritePanels(std::span<const float> values) {
  const PackedSpec& spec = specs_[current_];
  const size_t in = MatricesOf(spec).in, rows = values.size() / in;
  const size_t panel_bytes = PanelBytes(spec.dtype, in);
  const size_t panels = (rows + kPanelRows - 1) / kPanelRows;
  packed_.resize(panels * panel_bytes);
  pool_.For(panels, [&](size_t panel) {
    const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, rows - begin);
    PackPanel(spec.dtype, values.data() + begin * in, in, count, in,
              packed_.data() + panel * panel_bytes);
  });
  writer_->Append(packed_);
}

void PackedWriter::WriteTransposed(const PackedSpec& spec) {
  const Matrices m = MatricesOf(spec);
  std::vector<float> turned(m.out * m.in);
  for (size_t slice = 0; slice < m.slices; ++slice) {
    const float* from = pending_.data() + slice * turned.size();
    pool_.ForRanges(m.out, 16, [&](size_t begin, size_t end) {
      for (size_t k = 0; k < m.in; ++k) {
        for (size_t row = begin; row < end; ++row) turned[row * m.in + k] = from[k * m.out + row];
      }
    });
    WritePanels(turned);
  }
}

void PackedWriter::WriteRows(std::span<const float> values) {
  const size_t cols = specs_[current_].shape[1], rows = values.size() / cols;
  const size_t row_bytes = TableRowBytes(cols);
  packed_.resize(rows * row_bytes);
  pool_.ForRanges(rows, 1, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      EncodeTableRow(values.data() + row * cols, cols, packed_.data() + row * row_bytes);
    }
  });
  writer_->Append(packed_);
}

void PackedWriter::Finish() {
  LINNET_CHECK(current_ == specs_.size() && pending_.empty());
  writer_->Finish();
}

}  // namespace linnet
