#include "models/binder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "io/ggml_tensor.h"
#include "kernels/matmul.h"
#include "linnet/error.h"
#include "models/detect.h"

namespace linnet {

std::vector<float> InCheckpointOrder(const Parameter& p) {
  std::vector<float> out(p.g.rows * p.g.cols);
  for (size_t row = 0; row < p.g.rows; ++row) {
    for (size_t col = 0; col < p.g.cols; ++col) {
      out[p.transposed ? col * p.g.rows + row : row * p.g.cols + col] = p.g.Row(row)[col];
    }
  }
  return out;
}

Binder::Binder(const Checkpoint& checkpoint, const Config& config, ParamStore& store,
               ThreadPool& pool, const BindOptions& options)
    : checkpoint_(checkpoint), config_(config), store_(store), pool_(pool), options_(options) {}

const TensorView& Binder::Find(const std::string& name, size_t elements,
                               const std::string& expected) {
  const std::string path = checkpoint_.file().path().string();
  const TensorView* t = checkpoint_.Find(name);
  if (t == nullptr) {
    throw Error(ErrorKind::kBadModel, fmt::format("{}: {} is missing, expected [{}] (RWKV-{})",
                                                  path, name, expected, Name(config_.generation)));
  }
  if (t->elements() != elements) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: {}, expected [{}] (RWKV-{}, n_embd {})", path, Describe(*t),
                            expected, Name(config_.generation), config_.width));
  }
  return *t;
}

const TensorView& Binder::FindShaped(const std::string& name, const std::vector<size_t>& shape) {
  size_t elements = 1;
  for (const size_t n : shape) elements *= n;
  const std::string expected = fmt::format("{}", fmt::join(shape, ", "));
  const TensorView& t = Find(name, elements, expected);
  if (t.shape != shape) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: {}, expected [{}]", checkpoint_.file().path().string(),
                            Describe(t), expected));
  }
  return t;
}

void Binder::Done(const TensorView& t) {
  checkpoint_.file().Drop(t);
  done_bytes_ +=
      t.encoding != nullptr ? t.encoding->bytes().size() : t.elements() * ElementBytes(t.type);
  if (options_.progress) {
    options_.progress(std::min(1.0, static_cast<double>(done_bytes_) /
                                        static_cast<double>(checkpoint_.file().file_bytes())));
  }
}

Mat<float> Binder::NewGradient(const TensorView& t, size_t rows, size_t cols, bool transposed,
                               size_t slice) {
  if (!options_.gradients) return {};
  const Mat<float> g{store_.Floats(rows * cols), rows, cols, cols};
  store_.parameters.push_back({t.name, t.shape, g, transposed, slice});
  return g;
}

Var Binder::Vector(const std::string& name, size_t n) {
  const TensorView& t = Find(name, n, std::to_string(n));
  float* values = store_.Floats(n);
  const auto source = ReadAll(t);
  std::copy(source.begin(), source.end(), values);
  Done(t);
  return {{values, 1, n, n}, NewGradient(t, 1, n, false, 0)};
}

NormParam Binder::Norm(const std::string& name, size_t n) {
  Var gain = Vector(name + ".weight", n);
  return {gain, Vector(name + ".bias", n)};
}

namespace {

// Null if the matrix is not one that runs as ggml's blocks.
const GgmlMatrix* BlocksOf(const TensorView& rows) {
  const auto* blocks = dynamic_cast<const GgmlMatrix*>(rows.encoding);
  const bool whole = blocks != nullptr && rows.first == 0 && rows.contiguous() &&
                     rows.shape[0] == blocks->rows() && rows.shape[1] == blocks->cols();
  return whole ? blocks : nullptr;
}

}  // namespace

LinearParam Binder::Pack(const TensorView& rows, const TensorView& whole, bool transposed,
                         size_t slice) {
  LinearParam p;
  const DType dtype = options_.packing.TypeOf(whole, transposed);
  const PanelEncoding* panels = PanelsOf(whole);
  const GgmlMatrix* blocks = dtype == DType::kF32 ? BlocksOf(rows) : nullptr;
  uint64_t bytes = PackedBytes(dtype, rows.shape[0], rows.shape[1]);
  if (panels != nullptr && panels->dtype() == dtype && panels->transposed() == transposed) {
    p.w = panels->Slice(slice);  // runs as it lies in the file
  } else if (blocks != nullptr) {
    p.w = {DType::kGgml,           blocks->rows(),  blocks->cols(),
           blocks->bytes().data(), blocks->block(), blocks->scale()};
    bytes = blocks->bytes().size();
  } else {
    p.w = {dtype, rows.shape[0], rows.shape[1], PackPanels(rows, dtype)};
  }
  store_.cost.matrix_bytes += bytes;
  (whole.name == "head.weight" ? store_.cost.head_macs : store_.cost.layer_macs) +=
      uint64_t{p.w.rows} * p.w.cols;
  p.g = NewGradient(whole, p.w.rows, p.w.cols, transposed, slice);
  return p;
}

const std::byte* Binder::PackPanels(const TensorView& rows, DType dtype) {
  ReadRows(rows, 0, 0, nullptr);  // what it throws must not be thrown on another thread
  const size_t out = rows.shape[0], in = rows.shape[1];
  std::byte* data = store_.Allocate(PackedBytes(dtype, out, in));
  const size_t bytes = PanelBytes(dtype, in);
  pool_.For((out + kPanelRows - 1) / kPanelRows, [&](size_t panel) {
    const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, out - begin);
    thread_local std::vector<float> values;
    values.resize(count * in);
    ReadRows(rows, begin, count, values.data());
    PackPanel(dtype, values.data(), in, count, in, data + panel * bytes);
  });
  return data;
}

LinearParam Binder::Matrix(const std::string& name, size_t out, size_t in) {
  const TensorView& t = FindShaped(name, {out, in});
  LinearParam p = Pack(t, t, false, 0);
  Done(t);
  return p;
}

LinearParam Binder::MatrixT(const std::string& name, size_t in, size_t out) {
  const TensorView& t = FindShaped(name, {in, out});
  LinearParam p = Pack(t.Transposed(), t, true, 0);
  Done(t);
  return p;
}

LinearParam Binder::SliceT(const std::string& name, size_t slice, size_t slices, size_t in,
                           size_t out) {
  const TensorView& t = FindShaped(name, {slices, in, out});
  LinearParam p = Pack(t.Index(slice).Transposed(), t, true, slice);
  if (slice + 1 == slices) Done(t);
  return p;
}

Mat<float> Binder::TableGradient(const std::string& name, size_t rows, size_t cols) {
  return NewGradient(FindShaped(name, {rows, cols}), rows, cols, false, 0);
}

}  // namespace linnet
