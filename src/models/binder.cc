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

namespace {

constexpr size_t kLineFloats = 16;
constexpr size_t InLines(size_t floats) {
  return (floats + kLineFloats - 1) / kLineFloats * kLineFloats;
}

float* FloatsOf(const Buffer& buffer) { return reinterpret_cast<float*>(buffer.data()); }

}  // namespace

std::vector<float> InCheckpointOrder(const Parameter& p, Mat<const float> m) {
  std::vector<float> out(m.rows * m.cols);
  for (size_t row = 0; row < m.rows; ++row) {
    for (size_t col = 0; col < m.cols; ++col) {
      out[p.transposed ? col * m.rows + row : row * m.cols + col] = m.Row(row)[col];
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

bool Binder::Learns(const TensorView& t) const {
  return options_.gradients && (!options_.learns || options_.learns(t.name));
}

Parameter* Binder::NewParameter(const TensorView& t, size_t rows, size_t cols, bool transposed,
                                size_t slice) {
  if (!Learns(t)) return nullptr;
  if (store_.gradients.size() == 0) {
    // The whole file's, so that all lie in one piece; pages that are not used cost nothing.
    size_t floats = 0;
    for (const TensorView& each : checkpoint_.tensors()) {
      const size_t slices = each.shape.size() > 2 ? each.shape[0] : 1;
      floats += slices * InLines(each.elements() / std::max<size_t>(slices, 1));
    }
    store_.gradients = Buffer(floats * sizeof(float));
    if (options_.trained) store_.values = Buffer(floats * sizeof(float));
  }
  Parameter p;
  p.name = t.name;
  p.shape = t.shape;
  p.transposed = transposed;
  p.slice = slice;
  p.g = {FloatsOf(store_.gradients) + store_.learning, rows, cols, cols};
  if (options_.trained) p.v = {FloatsOf(store_.values) + store_.learning, rows, cols, cols};
  store_.learning += InLines(rows * cols);
  return &store_.parameters.emplace_back(std::move(p));
}

Var Binder::Vector(const std::string& name, size_t n) {
  const TensorView& t = Find(name, n, std::to_string(n));
  const Parameter* p = NewParameter(t, 1, n, false, 0);
  float* values = p != nullptr && !p->v.empty() ? p->v.data : store_.Floats(n);
  const auto source = ReadAll(t);
  std::copy(source.begin(), source.end(), values);
  Done(t);
  return {{values, 1, n, n}, p != nullptr ? p->g : Mat<float>()};
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
  Parameter* learning = NewParameter(whole, rows.shape[0], rows.shape[1], transposed, slice);
  const bool trained = learning != nullptr && options_.trained;
  const DType dtype = trained ? *options_.trained : options_.packing.TypeOf(whole, transposed);
  const PanelEncoding* panels = PanelsOf(whole);
  const GgmlMatrix* blocks = dtype == DType::kF32 && !trained ? BlocksOf(rows) : nullptr;
  uint64_t bytes = PackedBytes(dtype, rows.shape[0], rows.shape[1]);
  if (panels != nullptr && !trained && panels->dtype() == dtype &&
      panels->transposed() == transposed) {
    p.w = panels->Slice(slice);  // runs as it lies in the file
  } else if (blocks != nullptr) {
    p.w = {DType::kGgml,           blocks->rows(),  blocks->cols(),
           blocks->bytes().data(), blocks->block(), blocks->scale()};
    bytes = blocks->bytes().size();
  } else {
    p.w = {dtype, rows.shape[0], rows.shape[1], nullptr};
    p.w.data = PackPanels(rows, dtype, trained ? learning->v.data : nullptr);
  }
  if (trained) {
    learning->dtype = dtype;
    learning->panels = const_cast<std::byte*>(p.w.data);  // the store's own memory
  }
  store_.cost.matrix_bytes += bytes;
  (whole.name == "head.weight" ? store_.cost.head_macs : store_.cost.layer_macs) +=
      uint64_t{p.w.rows} * p.w.cols;
  if (learning != nullptr) p.g = learning->g;
  return p;
}

const std::byte* Binder::PackPanels(const TensorView& rows, DType dtype, float* kept) {
  ReadRows(rows, 0, 0, nullptr);  // what it throws must not be thrown on another thread
  const size_t out = rows.shape[0], in = rows.shape[1];
  std::byte* data = store_.Allocate(PackedBytes(dtype, out, in));
  const size_t bytes = PanelBytes(dtype, in);
  pool_.For((out + kPanelRows - 1) / kPanelRows, [&](size_t panel) {
    const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, out - begin);
    thread_local std::vector<float> scratch;
    if (kept == nullptr) scratch.resize(count * in);
    float* values = kept == nullptr ? scratch.data() : kept + begin * in;
    ReadRows(rows, begin, count, values);
    PackPanel(dtype, values, in, count, in, data + panel * bytes);
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

Binder::Table Binder::Rows(const std::string& name, size_t rows, size_t cols) {
  Table table{FindShaped(name, {rows, cols}), {}};
  const Parameter* p = NewParameter(table.rows, rows, cols, false, 0);
  if (p == nullptr) return table;
  table.g = p->g;
  if (p->v.empty()) return table;
  constexpr size_t kRows = 1024;
  for (size_t begin = 0; begin < rows; begin += kRows) {
    ReadRows(table.rows, begin, std::min(kRows, rows - begin), p->v.Row(begin));
  }
  Done(table.rows);
  TensorView own;
  own.name = name;
  own.shape = table.rows.shape;
  own.strides = ContiguousStrides(own.shape);
  own.data = reinterpret_cast<const std::byte*>(p->v.data);
  table.rows = own;
  return table;
}

}  // namespace linnet
