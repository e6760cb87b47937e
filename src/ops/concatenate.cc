#include <algorithm>

#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {

Var Concatenate(Pass& p, Var a, Var b) {
  const Var y = p.New(a.rows(), a.cols() + b.cols());
  for (size_t t = 0; t < a.rows(); ++t) {
    std::copy_n(a.v.Row(t), a.cols(), y.v.Row(t));
    std::copy_n(b.v.Row(t), b.cols(), y.v.Row(t) + a.cols());
  }
  p.OnBackward([a, b, y] {
    y.InitGradient();
    size_t begin = 0;
    for (const Var& part : {a, b}) {
      part.InitGradient();
      for (size_t t = 0; t < part.g.rows; ++t) {
        AddRow(part.g.Row(t), y.g.Row(t) + begin, part.cols(), part.g.Row(t));
      }
      begin += part.cols();
    }
  });
  return y;
}

}  // namespace linnet
