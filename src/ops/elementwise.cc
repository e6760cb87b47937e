#include <cmath>

#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

// g[t][c] += f(t, c). Over columns, so that a Broadcast row, whose rows are one,
// sums over t in order and on one thread.
template <class F>
void Accumulate(const Pass& p, Mat<float> g, const F& f) {
  if (g.empty()) return;
  p.ForColumns(g.cols, g.rows * g.cols, [&](size_t begin, size_t end) {
    for (size_t t = 0; t < g.rows; ++t) {
      float* row = g.Row(t);
      for (size_t c = begin; c < end; ++c) row[c] += f(t, c);
    }
  });
}

// y = kernel(x); dx += dy * slope(x, y).
template <class Kernel, class Slope>
Var Map(Pass& p, Var x, const Kernel& kernel, const Slope& slope) {
  const Var y = p.New(x.rows(), x.cols());
  p.ForRows(x.rows(), 4 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) kernel(x.v.Row(t), x.cols(), y.v.Row(t));
  });
  p.OnBackward([&p, x, y, slope] {
    Accumulate(p, x.g, [&](size_t t, size_t c) {
      return y.g.Row(t)[c] * slope(x.v.Row(t)[c], y.v.Row(t)[c]);
    });
  });
  return y;
}

// y = kernel(a, b); da += dy * slope_a(a, b), db likewise.
template <class Kernel, class SlopeA, class SlopeB>
Var Map2(Pass& p, Var a, Var b, const Kernel& kernel, const SlopeA& slope_a,
         const SlopeB& slope_b) {
  const Var y = p.New(a.rows(), a.cols());
  p.ForRows(a.rows(), 2 * a.rows() * a.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) kernel(a.v.Row(t), b.v.Row(t), a.cols(), y.v.Row(t));
  });
  p.OnBackward([&p, a, b, y, slope_a, slope_b] {
    Accumulate(p, a.g, [&](size_t t, size_t c) {
      return y.g.Row(t)[c] * slope_a(a.v.Row(t)[c], b.v.Row(t)[c]);
    });
    Accumulate(p, b.g, [&](size_t t, size_t c) {
      return y.g.Row(t)[c] * slope_b(a.v.Row(t)[c], b.v.Row(t)[c]);
    });
  });
  return y;
}

constexpr auto kOne = [](float, float) { return 1.0f; };

}  // namespace

Var Broadcast(Var row, size_t rows) {
  row.v.rows = rows;
  row.v.stride = 0;
  if (row.tracked()) {
    row.g.rows = rows;
    row.g.stride = 0;
  }
  return row;
}

Var Columns(Var x, size_t begin, size_t count) {
  x.v = x.v.Columns(begin, count);
  if (x.tracked()) x.g = x.g.Columns(begin, count);
  return x;
}

Var Repeat(Pass& p, Var x, size_t times) {
  const Var y = p.New(x.rows(), x.cols() * times);
  for (size_t t = 0; t < y.rows(); ++t) {
    for (size_t c = 0; c < y.cols(); ++c) y.v.Row(t)[c] = x.v.Row(t)[c / times];
  }
  p.OnBackward([x, y, times] {
    if (!x.tracked()) return;
    for (size_t t = 0; t < y.rows(); ++t) {
      for (size_t c = 0; c < y.cols(); ++c) x.g.Row(t)[c / times] += y.g.Row(t)[c];
    }
  });
  return y;
}

Var Lerp(Pass& p, Var x, Var d, Var mu) {
  const Var y = p.New(x.rows(), x.cols());
  p.ForRows(x.rows(), 4 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      LerpRow(x.v.Row(t), d.v.Row(t), mu.v.Row(t), x.cols(), y.v.Row(t));
    }
  });
  p.OnBackward([&p, x, d, mu, y] {
    Accumulate(p, x.g, [&](size_t t, size_t c) { return y.g.Row(t)[c]; });
    Accumulate(p, d.g, [&](size_t t, size_t c) { return y.g.Row(t)[c] * mu.v.Row(t)[c]; });
    Accumulate(p, mu.g, [&](size_t t, size_t c) { return y.g.Row(t)[c] * d.v.Row(t)[c]; });
  });
  return y;
}

Var Add(Pass& p, Var a, Var b) { return Map2(p, a, b, AddRow, kOne, kOne); }

Var Residual(Pass& p, Var x, Var y) {
  if (p.tape != nullptr) return Add(p, x, y);
  p.ForRows(x.rows(), 2 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) AddRow(x.v.Row(t), y.v.Row(t), x.cols(), x.v.Row(t));
  });
  return x;
}

Var Sub(Pass& p, Var a, Var b) {
  return Map2(p, a, b, SubRow, kOne, [](float, float) { return -1.0f; });
}

Var Mul(Pass& p, Var a, Var b) {
  return Map2(
      p, a, b, MulRow, [](float, float y) { return y; }, [](float x, float) { return x; });
}

Var Neg(Pass& p, Var x) {
  const auto kernel = [](const float* in, size_t n, float* y) { ScaleRow(in, -1.0f, n, y); };
  return Map(p, x, kernel, [](float, float) { return -1.0f; });
}

Var OneMinus(Pass& p, Var x) {
  return Map(p, x, OneMinusRow, [](float, float) { return -1.0f; });
}

Var Exp(Pass& p, Var x) {
  return Map(p, x, ExpRow, [](float, float y) { return y; });
}

Var Sigmoid(Pass& p, Var x) {
  return Map(p, x, SigmoidRow, [](float, float y) { return y * (1 - y); });
}

Var Tanh(Pass& p, Var x) {
  return Map(p, x, TanhRow, [](float, float y) { return 1 - y * y; });
}

Var Silu(Pass& p, Var x) {
  return Map(p, x, SiluRow, [](float v, float) {
    const float s = 1 / (1 + std::exp(-v));
    return s * (1 + v * (1 - s));
  });
}

Var ReluSquared(Pass& p, Var x) {
  return Map(p, x, ReluSquaredRow, [](float v, float) { return v > 0 ? 2 * v : 0.0f; });
}

Var ExpNegExp(Pass& p, Var x) {
  return Map(p, x, ExpNegExpRow, [](float v, float y) { return -std::exp(v) * y; });
}

Var NegExp(Pass& p, Var x) {
  return Map(p, x, NegExpRow, [](float, float y) { return y; });
}

Var GooseDecay(Pass& p, Var x) {
  // y = exp(-c s), s = sigmoid(x): y' = -c s (1 - s) y, and c = e^(-1/2).
  return Map(p, x, GooseDecayRow, [](float v, float y) {
    const float s = 1 / (1 + std::exp(-v));
    return -0.60653066f * s * (1 - s) * y;
  });
}

}  // namespace linnet
