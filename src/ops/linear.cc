#include <algorithm>
#include <utility>

#include "base/check.h"
#include "kernels/rows.h"
#include "ops/deferred_products.h"
#include "ops/ops.h"
#include "ops/product.h"

namespace linnet {
namespace {

// Inputs that a bf16 product reads at a time: rows of a multiple of it need no padding.
constexpr size_t kChunk = 32;

// The gradient of the product before its epilogue, if any, in the form of the backward products.
Activations GradientFor(const Pass& p, Activation form, Var y, const EpilogueBackward& backward) {
  y.InitGradient();
  if (backward != nullptr && form == Activation::kBF16 && y.cols() % kChunk == 0) {
    const Activations dy = p.ReadyRows(form, y.rows(), y.cols());
    backward(&dy);
    return dy;
  }
  if (backward != nullptr) backward(nullptr);
  return Prepared(p, form, y.g);
}

void LinearBackward(const Pass& p, Var x, Activations prepared, const LinearParam& w, Var y,
                    const EpilogueBackward& backward) {
  const Arena::Scope scope(p.arena);
  const Activation form = BackwardForm(p, w.w.dtype);
  const Activations dy = GradientFor(p, form, y, backward);
  if (x.tracked()) {
    const Weight turned = TransposedPanels(p, form, w.w);
    if (x.TakeFirstWrite()) {
      Product(p, dy, turned, x.g);
    } else {
      AddProduct(p, dy, turned, x.g);
    }
  }
  if (!w.g.empty()) {
    if (prepared.form != form) prepared = Prepared(p, form, x.v);
    OuterProduct(p, prepared, w.g.cols).AddTo(dy, w.g);
  }
}

// c x, for few columns.
Var Scaled(Pass& p, Var x, float c) {
  if (c == 1) return x;
  const Var y = p.New(x.rows(), x.cols());
  for (size_t t = 0; t < x.rows(); ++t) ScaleRow(x.v.Row(t), c, x.cols(), y.v.Row(t));
  p.OnBackward([x, y, c] {
    x.InitGradient();
    y.InitGradient();
    for (size_t t = 0; t < x.rows(); ++t) AddScaledRow(y.g.Row(t), c, x.cols(), x.g.Row(t));
  });
  return y;
}

// y += scale up (down x). Keeps no rows of y's width: their gradient is that of y.
void AddDelta(Pass& p, Var x, const LowRankDelta& delta, Var y) {
  const Arena::Mark mark = p.arena.mark();
  DeferredProducts* const waiting = std::exchange(p.deferred, nullptr);  // down x is read at once
  const Var h = Scaled(p, Linear(p, x, delta.down), delta.scale);
  p.deferred = waiting;
  const Activations prepared = Prepared(p, ActivationFor(delta.up.w.dtype, p.exact), h.v);
  const Arena::Mark kept = p.arena.mark();
  const Mat<float> change{p.Scratch(y.rows() * y.cols()), y.rows(), y.cols(), y.cols()};
  Product(p, prepared, delta.up.w, change);
  p.ForRows(y.rows(), 2 * y.rows() * y.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) AddRow(y.v.Row(t), change.Row(t), y.cols(), y.v.Row(t));
  });
  p.arena.Rewind(p.tape == nullptr ? mark : kept);
  p.OnBackward(
      [&p, &delta, h, y, prepared] { LinearBackward(p, h, prepared, delta.up, y, nullptr); });
}

// Calls body(begin, rows, change) for each run of rows whose sequences have an adapter that changes
// the matrix. x: of the product.
template <class F>
void ForOwnChanges(const Pass& p, const LinearParam& w, Var x, const F& body) {
  if (p.adapters.empty()) return;
  LINNET_CHECK(x.rows() == p.segments.back().begin + p.segments.back().len);
  for (size_t i = 0; i < p.segments.size();) {
    const AdapterDeltas* const adapter = p.segments[i].adapter;
    const size_t begin = p.segments[i].begin;
    size_t end = begin;
    for (; i < p.segments.size() && p.segments[i].adapter == adapter; ++i) {
      end = p.segments[i].begin + p.segments[i].len;
    }
    const OwnChange* const change = adapter == nullptr ? nullptr : adapter->Find(w);
    if (change != nullptr) body(begin, end - begin, *change);
  }
}

// x with the rows scaled that adapters of single sequences scale; x itself if there are none.
Var WithOwnScales(Pass& p, Var x, const LinearParam& w) {
  Var scaled = x;
  ForOwnChanges(p, w, x, [&](size_t begin, size_t rows, const OwnChange& change) {
    if (change.scales == nullptr) return;
    if (scaled.v.data == x.v.data) {
      scaled = {.v = p.New(x.rows(), x.cols()).v, .g = {}};
      for (size_t t = 0; t < x.rows(); ++t) {
        std::copy_n(x.v.Row(t), x.cols(), scaled.v.Row(t));
      }
    }
    for (size_t t = begin; t < begin + rows; ++t) {
      float* const row = scaled.v.Row(t);
      for (size_t i = 0; i < x.cols(); ++i) row[i] *= change.scales[i];
    }
  });
  return scaled;
}

// What the adapters of single sequences add to their rows.
void AddOwnDeltas(Pass& p, Var x, const LinearParam& w, Var y) {
  ForOwnChanges(p, w, x, [&](size_t begin, size_t rows, const OwnChange& change) {
    const Var own_x{.v = x.v.Rows(begin, rows), .g = {}};
    const Var own_y{.v = y.v.Rows(begin, rows), .g = {}};
    for (const LowRankDelta* delta : change.deltas) AddDelta(p, own_x, *delta, own_y);
  });
}

}  // namespace

void MappedLinear(Pass& p, Var x, const LinearParam& w, Var y, const Epilogue& epilogue,
                  const EpilogueBackward& backward) {
  LINNET_CHECK(y.v.data != nullptr || (p.tape == nullptr && !p.Changes(w)));
  const bool alone = !p.Changes(w);
  const Var scaled = alone ? x : WithOwnScales(p, x, w);
  const Arena::Mark mark = p.arena.mark();
  const Activations prepared = RowsFor(p, ActivationFor(w.w.dtype, p.exact), scaled);
  if (alone && p.deferred != nullptr && p.deferred->Defers(x.rows())) {
    return p.deferred->Add({prepared, w.w, y.v, epilogue});
  }
  if (epilogue != nullptr && alone) {
    Product(p, prepared, w.w, y.v, epilogue);
  } else {
    Product(p, prepared, w.w, y.v);
  }
  // The gradient of a matrix reads the same rows again, if the backward form is the same.
  if (p.tape == nullptr || w.g.empty()) p.arena.Rewind(mark);
  p.OnBackward([&p, &w, x, y, prepared, backward = alone ? backward : EpilogueBackward()] {
    LinearBackward(p, x, prepared, w, y, backward);
  });
  if (alone) return;
  for (const LowRankDelta* delta : w.deltas) AddDelta(p, x, *delta, y);
  AddOwnDeltas(p, scaled, w, y);
  if (epilogue == nullptr) return;
  p.ForRows(y.rows(), 4 * y.rows() * y.cols(),
            [&](size_t begin, size_t end) { epilogue(y.v.Rows(begin, end - begin), begin, 0); });
  p.OnBackward([y, backward] {
    y.InitGradient();
    backward(nullptr);
  });
}

Var Linear(Pass& p, Var x, const LinearParam& w) {
  const Var y = p.New(x.rows(), w.w.rows);
  MappedLinear(p, x, w, y, nullptr, nullptr);
  return y;
}

}  // namespace linnet
