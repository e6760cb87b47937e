#include <cmath>

#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

constexpr float kEpsilon = 1e-8f;  // of GoldFinch (src/norm.py)

float RootMeanSquare(const float* x, size_t n) {
  return std::sqrt(SumSquaresRow(x, n, 0.0f) / static_cast<float>(n));
}

}  // namespace

Var NormalizeRms(Pass& p, Var x) {
  const size_t n = x.cols();
  const Var y = p.New(x.rows(), n);
  p.ForRows(x.rows(), 2 * x.rows() * n, [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      const float* row = x.v.Row(t);
      ScaleRow(row, 1 / (RootMeanSquare(row, n) + kEpsilon), n, y.v.Row(t));
    }
  });
  // With s = rms + epsilon: dx = dy / s - x (dy . x) / (n rms s²).
  p.OnBackward([&p, x, y, n] {
    y.InitGradient();
    x.InitGradient();
    if (!x.tracked()) return;
    p.ForRows(x.rows(), 4 * x.rows() * n, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        const float *row = x.v.Row(t), *dy = y.g.Row(t);
        const float rms = RootMeanSquare(row, n), s = rms + kEpsilon;
        AddScaledRow(dy, 1 / s, n, x.g.Row(t));
        if (rms == 0) continue;
        const float along = Dot(dy, row, n) / (static_cast<float>(n) * rms * s * s);
        AddScaledRow(row, -along, n, x.g.Row(t));
      }
    });
  });
  return y;
}

}  // namespace linnet
