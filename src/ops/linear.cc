#include <algorithm>

#include "ops/ops.h"
#include "ops/product.h"

namespace linnet {
namespace {

void AddTo(const Pass& p, Mat<float> g, Mat<const float> x) {
  p.ForColumns(g.cols, g.rows * g.cols, [&](size_t begin, size_t end) {
    for (size_t t = 0; t < g.rows; ++t) {
      for (size_t c = begin; c < end; ++c) g.Row(t)[c] += x.Row(t)[c];
    }
  });
}

Mat<float> Transposed(const Pass& p, Mat<const float> m) {
  const Mat<float> out{p.arena.New<float>(m.rows * m.cols), m.cols, m.rows, m.rows};
  p.ForRows(m.cols, m.rows * m.cols, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      for (size_t t = 0; t < m.rows; ++t) out.Row(row)[t] = m.Row(t)[row];
    }
  });
  return out;
}

void LinearBackward(const Pass& p, Var x, const LinearParam& w, Var y) {
  const Arena::Mark mark = p.arena.mark();
  if (x.tracked()) {
    const Mat<float> dx{p.arena.New<float>(x.rows() * x.cols()), x.rows(), x.cols(), x.cols()};
    Product(p, y.g, TransposedPanels(p, Unpacked(p, w.w)), dx);
    AddTo(p, x.g, dx);
    p.arena.Rewind(mark);
  }
  if (!w.g.empty()) {
    const Mat<float> dw{p.arena.New<float>(w.g.rows * w.g.cols), w.g.rows, w.g.cols, w.g.cols};
    Product(p, Transposed(p, y.g), TransposedPanels(p, x.v), dw);
    AddTo(p, w.g, dw);
  }
  p.arena.Rewind(mark);
}

}  // namespace

Var Linear(Pass& p, Var x, const LinearParam& w) {
  const Var y = p.New(x.rows(), w.w.rows);
  Product(p, x.v, w.w, y.v);
  p.OnBackward([&p, &w, x, y] { LinearBackward(p, x, w, y); });
  return y;
}

}  // namespace linnet
