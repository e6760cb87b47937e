#include "models/binder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/huge_pages.h"
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
    : checkpoint_(checkpoint), config_(config), store_(store), pool_(pool), options_(options) {
  for (ParameterSpec& p : ParametersOf(config)) {
    const std::string name = p.name;
    specs_.emplace(name, std::move(p));
  }
  if (options.twin == nullptr) return;
  store.cost = options.twin->cost;
  store.gradients = Buffer(options.twin->gradients.size());
  store.learning = options.twin->learning;
}

Mat<float> Binder::OwnGradient(Mat<float> g) const {
  if (!g.empty())
    g.data = FloatsOf(store_.gradients) + (g.data - FloatsOf(options_.twin->gradients));
  return g;
}

LinearParam Binder::OwnGradients(LinearParam p) {
  p.g = OwnGradient(p.g);
  for (const LowRankDelta*& delta : p.deltas) {
    delta = &store_.deltas.emplace_back(
        LowRankDelta{OwnGradients(delta->down), OwnGradients(delta->up), delta->scale});
  }
  return p;
}

const TensorView& Binder::Find(const std::string& name, size_t elements,
                               const std::string& expected) {
  const std::string path = checkpoint_.file().path().string();
  const TensorView* t = checkpoint_.Find(name);
  taken_.insert(name);
  for (const Adapter& adapter : options_.adapters) {
    if (const TensorView* other = adapter.Replacement(name)) t = other;
  }
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
  const std::string expected = fmt::format("{}", fmt::join(shape, ", "));
  const TensorView& t = Find(name, ElementsOf(shape), expected);
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
  const auto& adapters = options_.adapters;
  // A model with a tuned state has tensors with the same names as an adapter's.
  const bool may = adapters.empty() || std::any_of(adapters.begin(), adapters.end(),
                                                   [&](const Adapter& a) { return a.Holds(t); });
  return options_.gradients && may && (!options_.learns || options_.learns(t.name));
}

Parameter* Binder::NewParameter(const TensorView& t, size_t rows, size_t cols, bool transposed,
                                size_t slice) {
  if (!Learns(t)) return nullptr;
  if (store_.gradients.size() == 0) {
    // One buffer for everything that may be trained; unused pages cost nothing.
    size_t floats = 0;
    const auto count = [&](std::span<const TensorView> tensors) {
      for (const TensorView& each : tensors) {
        if (!Learns(each)) continue;
        const size_t slices = each.shape.size() > 2 ? each.shape[0] : 1;
        floats += slices * InLines(each.elements() / std::max<size_t>(slices, 1));
      }
    };
    count(checkpoint_.tensors());
    for (const Adapter& adapter : options_.adapters) count(adapter.file().tensors());
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

Var Binder::Vector(const std::string& name) {
  if (options_.twin != nullptr) {
    const Var& v = options_.twin->vectors.at(name);
    return {v.v, OwnGradient(v.g)};
  }
  const ParameterSpec& spec = SpecOf(name);
  const size_t n = spec.elements();
  const bool other = !spec.also.empty() && Has(spec.also);
  const TensorView& t = Find(other ? spec.also : name, n, std::to_string(n));
  const Parameter* p = NewParameter(t, 1, n, false, 0);
  float* values = p != nullptr && !p->v.empty() ? p->v.data : store_.Floats(n);
  const auto source = ReadAll(t);
  std::copy(source.begin(), source.end(), values);
  Done(t);
  return store_.vectors[name] = {{values, 1, n, n}, p != nullptr ? p->g : Mat<float>()};
}

NormParam Binder::Norm(const std::string& name) {
  Var gain = Vector(name + ".weight");
  return {gain, Vector(name + ".bias")};
}

namespace {

// Null if the matrix cannot run as ggml blocks.
const GgmlMatrix* BlocksOf(const TensorView& rows) {
  const auto* blocks = dynamic_cast<const GgmlMatrix*>(rows.encoding);
  const bool whole = blocks != nullptr && rows.first == 0 && rows.contiguous() &&
                     rows.shape[0] == blocks->rows() && rows.shape[1] == blocks->cols();
  return whole ? blocks : nullptr;
}

}  // namespace

void Binder::Count(const std::string& name, const Weight& w, uint64_t bytes) {
  const auto place = SplitBlockName(name);
  const auto expert = place ? SplitExpertName(place->rest) : std::nullopt;
  if (expert && expert->layer != 0) return;  // a token uses one
  store_.cost.matrix_bytes += bytes;
  (name == "head.weight" ? store_.cost.head_macs : store_.cost.layer_macs) +=
      uint64_t{w.rows} * w.cols;
}

LinearParam Binder::Pack(const TensorView& rows, const TensorView& whole, bool transposed,
                         size_t slice) {
  if (options_.shapes_only) return {};
  const DType dtype = options_.packing.TypeOf(whole, transposed);
  const bool trained = Learns(whole) && options_.trained;
  const PanelEncoding* panels = PanelsOf(whole);
  const GgmlMatrix* blocks = dtype == DType::kF32 && !trained ? BlocksOf(rows) : nullptr;
  const bool as_it_lies = panels != nullptr && !trained && panels->dtype() == dtype &&
                          panels->transposed() == transposed;
  if (!as_it_lies && blocks == nullptr) {
    ReadRows(rows, 0, 0, nullptr);  // throws here, not on another thread
    const auto read = [&](size_t begin, size_t count, float* out) {
      ReadRows(rows, begin, count, out);
    };
    return PackRows(whole, transposed, slice, rows.shape[0], rows.shape[1], dtype, read);
  }
  LinearParam p;
  if (as_it_lies) {
    p.w = panels->Slice(slice);
    const size_t bytes = PackedBytes(dtype, p.w.rows, p.w.cols);
    Count(whole.name, p.w, bytes);
    AskForHugePages({p.w.data, bytes});
  } else {
    p.w = {DType::kGgml,           blocks->rows(),  blocks->cols(),
           blocks->bytes().data(), blocks->block(), blocks->scale()};
    Count(whole.name, p.w, blocks->bytes().size());
  }
  const Parameter* learning = NewParameter(whole, p.w.rows, p.w.cols, transposed, slice);
  if (learning != nullptr) p.g = learning->g;
  return p;
}

LinearParam Binder::PackRows(const TensorView& whole, bool transposed, size_t slice, size_t out,
                             size_t in, DType dtype, const RowReader& read) {
  LinearParam p;
  Parameter* learning = NewParameter(whole, out, in, transposed, slice);
  const bool trained = learning != nullptr && options_.trained;
  if (trained) dtype = *options_.trained;
  const bool own = dtype == OwnType(whole) && dtype != DType::kI8 && dtype != DType::kNF4;
  p.w = Packed(own ? "" : whole.name, out, in, dtype, read, trained ? learning->v.data : nullptr);
  Count(whole.name, p.w, PackedBytes(dtype, out, in));
  if (trained) {
    learning->dtype = dtype;
    learning->panels = const_cast<std::byte*>(p.w.data);  // the store's own memory
  }
  if (learning != nullptr) p.g = learning->g;
  return p;
}

Weight Binder::Packed(const std::string& name, size_t out, size_t in, DType dtype,
                      const RowReader& read, float* kept) {
  std::byte* data = store_.Allocate(PackedBytes(dtype, out, in));
  return PackPanels({out, in, dtype, checkpoint_.file().path(), name}, read, kept, pool_, data);
}

void Binder::AddDelta(const MatrixChange& change, LinearParam& matrix) {
  const auto factor = [&](const TensorView& rows, bool transposed) {
    const DType dtype = options_.trained.value_or(OwnType(rows));
    ReadRows(rows, 0, 0, nullptr);  // as in Pack
    return PackRows(
        transposed ? rows.Transposed() : rows, transposed, 0, rows.shape[0], rows.shape[1], dtype,
        [&](size_t begin, size_t count, float* out) { ReadRows(rows, begin, count, out); });
  };
  LowRankDelta delta{{}, {}, change.scale};
  if (change.kind == AdapterKind::kDisha) {
    // Row j of `down` selects the inputs that DiSHA sums for D[j].
    const DType dtype = options_.trained.value_or(OwnType(change.up));
    const size_t in = matrix.w.cols, rank = change.rank;
    const auto picks = [&](size_t begin, size_t count, float* rows) {
      std::fill_n(rows, count * in, 0.0f);
      for (size_t j = 0; j < count; ++j) {
        for (size_t i = begin + j; i < in; i += rank) rows[j * in + i] = 1;
      }
    };
    delta.down.w = Packed("", rank, in, dtype, picks, nullptr);
    Count("", delta.down.w, PackedBytes(dtype, rank, in));
  } else {
    delta.down = factor(change.down, false);
  }
  delta.up = factor(change.up, change.up_transposed);
  matrix.deltas.push_back(&store_.deltas.emplace_back(std::move(delta)));
  if (change.kind != AdapterKind::kPissa) return;
  LowRankDelta first{factor(change.first_down, false), factor(change.first_up, false),
                     -change.scale};
  matrix.deltas.push_back(&store_.deltas.emplace_back(std::move(first)));
}

LinearParam Binder::Matrix(const std::string& name) {
  if (options_.twin != nullptr) return OwnGradients(options_.twin->matrices.at(name));
  const ParameterSpec& spec = SpecOf(name);
  if (spec.role == ParameterRole::kFactor) return Factor(spec);
  const size_t out = spec.shape[0], in = spec.shape[1];
  const TensorView& t = FindShaped(name, spec.shape);
  std::vector<const MatrixChange*> changes;
  std::vector<RowChanger> changers;  // for changes that must rewrite W
  for (const Adapter& adapter : options_.adapters) {
    const MatrixChange* change = adapter.Find(name);
    if (change == nullptr) continue;
    changes.push_back(change);
    if (!change->beside()) changers.emplace_back(*change, t);
  }
  LinearParam p;
  if (changers.empty()) {
    p = Pack(t, t, false, 0);
  } else {
    ReadRows(t, 0, 0, nullptr);
    p = PackRows(t, false, 0, out, in, options_.packing.TypeOf(t, false),
                 [&](size_t begin, size_t count, float* rows) {
                   ReadRows(t, begin, count, rows);
                   for (const RowChanger& changer : changers) changer.Apply(begin, count, rows);
                 });
  }
  for (const MatrixChange* change : changes) {
    if (change->beside()) AddDelta(*change, p);
  }
  Done(t);
  return store_.matrices[name] = p;
}

LinearParam Binder::Factor(const ParameterSpec& spec) {
  const TensorView& t = FindShaped(spec.name, spec.shape);
  LinearParam p = Pack(t.Transposed(), t, true, 0);
  Done(t);
  return store_.matrices[spec.name] = p;
}

LinearParam Binder::Slice(const std::string& name, size_t slice) {
  const std::string key = fmt::format("{}[{}]", name, slice);
  if (options_.twin != nullptr) return OwnGradients(options_.twin->matrices.at(key));
  const ParameterSpec& spec = SpecOf(name);
  const TensorView& t = FindShaped(name, spec.shape);
  LinearParam p = Pack(t.Index(slice).Transposed(), t, true, slice);
  if (slice + 1 == spec.shape[0]) Done(t);
  return store_.matrices[key] = p;
}

TableParam Binder::Rows(const std::string& name) {
  if (options_.twin != nullptr) {
    const TableParam& table = options_.twin->tables.at(name);
    return {table.rows, OwnGradient(table.g), table.rounding};
  }
  const ParameterSpec& spec = SpecOf(name);
  const size_t rows = spec.shape[0], cols = spec.shape[1];
  TableParam table{FindShaped(name, spec.shape), {}};
  const Parameter* p = NewParameter(table.rows, rows, cols, false, 0);
  if (p != nullptr) table.g = p->g;
  float* values = p != nullptr ? p->v.data : nullptr;
  // Adapter files are not kept open, so replaced rows are copied.
  const bool replaced = table.rows.data != checkpoint_.Find(name)->data;
  if (values == nullptr && replaced) values = store_.Floats(rows * cols);
  const auto bound = [&] {
    const DType type = options_.packing.TableType(table.rows);
    if (type != OwnType(table.rows)) table.rounding = type;
    return store_.tables[name] = table;
  };
  if (values == nullptr) return bound();
  constexpr size_t kRows = 1024;
  for (size_t begin = 0; begin < rows; begin += kRows) {
    ReadRows(table.rows, begin, std::min(kRows, rows - begin), values + begin * cols);
  }
  Done(table.rows);
  TensorView own;
  own.name = name;
  own.shape = table.rows.shape;
  own.strides = ContiguousStrides(own.shape);
  own.data = reinterpret_cast<const std::byte*>(values);
  table.rows = own;
  return bound();
}

// The matrix as it lies in a packed file, or one that the store packs later.
ExpertParam Binder::Expert(size_t layer, size_t expert, const std::string& name) {
  const bool adapted = std::ranges::any_of(options_.adapters, [&](const Adapter& a) {
    return a.Find(name) != nullptr || a.Replacement(name) != nullptr;
  });
  if (options_.twin != nullptr || options_.gradients || adapted) return {Matrix(name)};
  const ParameterSpec& spec = SpecOf(name);
  const TensorView& t = FindShaped(name, spec.shape);
  if (options_.shapes_only) return {};
  const DType dtype = options_.packing.TypeOf(t, false);
  const PanelEncoding* panels = PanelsOf(t);
  const bool as_it_lies = panels != nullptr && panels->dtype() == dtype;
  ExpertParam param;
  param.matrix.w = as_it_lies ? panels->Slice(0) : Weight{dtype, spec.shape[0], spec.shape[1]};
  const size_t bytes = PackedBytes(dtype, spec.shape[0], spec.shape[1]);
  Count(name, param.matrix.w, bytes);
  if (as_it_lies) AskForHugePages({param.matrix.w.data, bytes});
  const size_t number =
      store_.experts->Add(layer, expert, t, as_it_lies ? std::nullopt : std::optional(dtype));
  if (!as_it_lies) param.stored = number;
  LinearParam& known = store_.matrices[name] = param.matrix;
  known.id = param.matrix.id = &known;
  return param;
}

ExpertStack Binder::Experts(size_t layer, const std::string& name) {
  if (store_.experts == nullptr) {
    store_.experts =
        std::make_unique<ExpertStore>(checkpoint_.file(), config_.experts, options_.expert_bytes);
  }
  ExpertStack stack{{}, store_.experts.get()};
  stack.matrices.reserve(config_.experts);
  for (size_t e = 0; e < config_.experts; ++e) {
    stack.matrices.push_back(Expert(layer, e, BlockName(layer, ExpertName(e, name))));
  }
  return stack;
}

void Binder::RefuseUnknown() const {
  RefuseUnused(checkpoint_, config_.generation, taken_,
               fmt::format(", which RWKV-{} does not use: the file is damaged, or a related "
                           "model that Linnet does not run",
                           Name(config_.generation)));
}

std::vector<Var> Binder::StartState(size_t layer, size_t heads, size_t head_size) {
  const std::string name = TimeStateName(layer);
  // ChatRWKV merges tuned states into the model's file, under the names of a separate state file.
  const bool own = config_.generation != Generation::k4 && Has("blocks.0.att.time_state");
  const TensorView* t = own ? &FindShaped(name, {heads, head_size, head_size}) : nullptr;
  for (const Adapter& adapter : options_.adapters) {
    if (const TensorView* other = adapter.Replacement(name)) t = other;
  }
  std::vector<Var> start;
  const size_t n = head_size;
  const auto key = [&](size_t head) { return fmt::format("{}[{}]", name, head); };
  if (options_.twin != nullptr) {
    for (size_t h = 0; options_.twin->vectors.contains(key(h)); ++h) {
      const Var& v = options_.twin->vectors.at(key(h));
      start.push_back({v.v, OwnGradient(v.g)});
    }
    return start;
  }
  for (size_t h = 0; t != nullptr && h < heads; ++h) {
    // Files store [value][key] in every generation.
    const Parameter* p = NewParameter(*t, n, n, true, h);
    Var s{{p != nullptr && !p->v.empty() ? p->v.data : store_.Floats(n * n), n, n, n}, {}};
    if (p != nullptr) s.g = p->g;
    ReadRows(t->Index(h).Transposed(), 0, n, s.v.data);
    start.push_back(store_.vectors[key(h)] = s);
  }
  return start;
}

}  // namespace linnet
