#include <algorithm>

#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {

Var TimesOwnMatrix(Pass& p, Var x, Var m) {
  const size_t rows = x.rows(), n = x.cols();
  const Var y = p.New(rows, n);
  p.ForRows(rows, rows * n * n, [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      float* to = y.v.Row(t);
      std::fill_n(to, n, 0.0f);
      for (size_t i = 0; i < n; ++i) AddScaledRow(m.v.Row(t) + i * n, x.v.Row(t)[i], n, to);
    }
  });
  p.OnBackward([&p, x, m, y, rows, n] {
    y.InitGradient();
    x.InitGradient();
    m.InitGradient();
    p.ForRows(rows, 2 * rows * n * n, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        const float* dy = y.g.Row(t);
        for (size_t i = 0; i < n; ++i) {
          const float* row = m.v.Row(t) + i * n;
          float sum = 0;
          for (size_t j = 0; j < n; ++j) sum += row[j] * dy[j];
          if (x.tracked()) x.g.Row(t)[i] += sum;
          if (m.tracked()) AddScaledRow(dy, x.v.Row(t)[i], n, m.g.Row(t) + i * n);
        }
      }
    });
  });
  return y;
}

}  // namespace linnet
