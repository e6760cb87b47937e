#include "ops/ops.h"
#include "ops/product.h"

namespace linnet {
namespace {

void LinearBackward(const Pass& p, Var x, Activations prepared, const LinearParam& w, Var y) {
  y.Settle();
  const Arena::Mark mark = p.arena.mark();
  const Activation form = BackwardForm(p, w.w.dtype);
  const Activations dy = Prepared(p, form, y.g);
  if (x.tracked()) {
    const Weight turned = TransposedPanels(p, form, w.w);
    if (x.TakeBlank()) {
      Product(p, dy, turned, x.g);
    } else {
      AddProduct(p, dy, turned, x.g);
    }
  }
  if (!w.g.empty()) {
    if (prepared.form != form) prepared = Prepared(p, form, x.v);
    OuterProduct(p, prepared, w.g.cols).AddTo(dy, w.g);
  }
  p.arena.Rewind(mark);
}

}  // namespace

Var Linear(Pass& p, Var x, const LinearParam& w) {
  const Var y = p.New(x.rows(), w.w.rows);
  const Arena::Mark mark = p.arena.mark();
  const Activations prepared = Prepared(p, ActivationFor(w.w.dtype, p.exact), x.v);
  Product(p, prepared, w.w, y.v);
  // The gradient of a matrix reads the same rows again, the backward form permitting.
  if (p.tape == nullptr || w.g.empty()) p.arena.Rewind(mark);
  p.OnBackward([&p, &w, x, y, prepared] { LinearBackward(p, x, prepared, w, y); });
  return y;
}

}  // namespace linnet
