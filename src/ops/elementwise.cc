#include "kernels/back_rows.h"
#include "kernels/rows.h"
#include "ops/back_rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

// y = kernel(x); dx += dy * slope. A Broadcast row gives a Broadcast row in inference. With a tape
// it gives separate rows, so that the slope is applied before the gradient is summed over them.
template <class Kernel>
Var Map(Pass& p, Var x, const Kernel& kernel, Slope slope) {
  if (x.v.stride == 0 && x.rows() > 1 && p.tape == nullptr) {
    const size_t rows = x.rows();
    x.v.rows = 1;
    return Broadcast(Map(p, x, kernel, slope), rows);
  }
  const Var y = p.New(x.rows(), x.cols());
  p.ForRows(x.rows(), 4 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) kernel(x.v.Row(t), x.cols(), y.v.Row(t));
  });
  p.OnBackward([&p, x, y, slope] {
    if (!x.tracked()) return;
    y.InitGradient();
    BackRows<1>(
        p, y.rows(), y.cols(), kLine, {x}, [&](size_t t, size_t col, size_t n, const auto& to) {
          AddSlopeRow(slope, x.v.Row(t) + col, y.v.Row(t) + col, y.g.Row(t) + col, n, to[0]);
        });
  });
  return y;
}

// x = kernel(x), for maps whose derivative needs only the output; the gradient is overwritten too.
template <class Kernel>
Var MapInPlace(Pass& p, Var x, const Kernel& kernel, Slope slope) {
  p.ForRows(x.rows(), 4 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) kernel(x.v.Row(t), x.cols(), x.v.Row(t));
  });
  p.OnBackward([&p, x, slope] {
    if (!x.tracked()) return;
    x.InitGradient();
    p.ForRows(x.rows(), 4 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) MulSlopeRow(slope, x.v.Row(t), x.cols(), x.g.Row(t));
    });
  });
  return x;
}

// y = kernel(a, b); back(dy, a, b, n, da, db) adds to the gradients of a row; da or db is null if
// it is not needed.
template <class Kernel, class Back>
Var Map2(Pass& p, Var a, Var b, const Kernel& kernel, const Back& back) {
  const Var y = p.New(a.rows(), a.cols());
  p.ForRows(a.rows(), 2 * a.rows() * a.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) kernel(a.v.Row(t), b.v.Row(t), a.cols(), y.v.Row(t));
  });
  p.OnBackward([&p, a, b, y, back] {
    y.InitGradient();
    BackRows<2>(p, y.rows(), y.cols(), kLine, {a, b},
                [&](size_t t, size_t col, size_t n, const auto& to) {
                  back(y.g.Row(t) + col, a.v.Row(t) + col, b.v.Row(t) + col, n, to[0], to[1]);
                });
  });
  return y;
}

// dx += dy.
void PassOn(const float* dy, size_t n, float* dx) {
  if (dx != nullptr) AddRow(dx, dy, n, dx);
}

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
  x.InitGradient();  // all of its columns
  x.uninitialized = nullptr;
  if (x.tracked()) x.g = x.g.Columns(begin, count);
  return x;
}

Var Repeat(Pass& p, Var x, size_t times) {
  if (x.v.stride == 0 && x.rows() > 1) {
    const size_t rows = x.rows();
    x.v.rows = x.g.rows = 1;
    return Broadcast(Repeat(p, x, times), rows);
  }
  const Var y = p.New(x.rows(), x.cols() * times);
  for (size_t t = 0; t < y.rows(); ++t) {
    for (size_t c = 0; c < y.cols(); ++c) y.v.Row(t)[c] = x.v.Row(t)[c / times];
  }
  p.OnBackward([x, y, times] {
    if (!x.tracked()) return;
    x.InitGradient();
    y.InitGradient();
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
    y.InitGradient();
    BackRows<3>(p, y.rows(), y.cols(), kLine, {x, d, mu},
                [&](size_t t, size_t col, size_t n, const auto& to) {
                  const float *dy = y.g.Row(t) + col, *D = d.v.Row(t) + col, *M = mu.v.Row(t) + col;
                  if (to[0] != nullptr && to[1] != nullptr && to[2] != nullptr) {
                    return LerpBackRow(dy, D, M, n, to[0], to[1], to[2]);
                  }
                  PassOn(dy, n, to[0]);
                  if (to[1] != nullptr) AddProductRow(dy, M, n, to[1]);
                  if (to[2] != nullptr) AddProductRow(dy, D, n, to[2]);
                });
  });
  return y;
}

Var Add(Pass& p, Var a, Var b) {
  return Map2(p, a, b, AddRow,
              [](const float* dy, const float*, const float*, size_t n, float* da, float* db) {
                PassOn(dy, n, da);
                PassOn(dy, n, db);
              });
}

Var AddResidualInPlace(Pass& p, Var x, Var y) {
  const Var out = p.tape == nullptr ? x : y;
  p.ForRows(x.rows(), 2 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) AddRow(x.v.Row(t), y.v.Row(t), x.cols(), out.v.Row(t));
  });
  p.OnBackward([&p, x, out] {
    out.InitGradient();
    BackRows<1>(p, out.rows(), out.cols(), kLine, {x},
                [&](size_t t, size_t col, size_t n, const auto& to) {
                  PassOn(out.g.Row(t) + col, n, to[0]);
                });
  });
  return out;
}

Var AddBiasInPlace(Pass& p, Var x, Var bias) {
  p.ForRows(x.rows(), 2 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      AddRow(x.v.Row(t), bias.v.data, x.cols(), x.v.Row(t));
    }
  });
  p.OnBackward([&p, x, bias] {
    if (!bias.tracked()) return;
    x.InitGradient();
    BackRows<1>(p, x.rows(), x.cols(), kLine, {Broadcast(bias, x.rows())},
                [&](size_t t, size_t col, size_t n, const auto& to) {
                  PassOn(x.g.Row(t) + col, n, to[0]);
                });
  });
  return x;
}

Var Sub(Pass& p, Var a, Var b) {
  return Map2(p, a, b, SubRow,
              [](const float* dy, const float*, const float*, size_t n, float* da, float* db) {
                PassOn(dy, n, da);
                if (db != nullptr) SubRow(db, dy, n, db);
              });
}

Var Mul(Pass& p, Var a, Var b) {
  return Map2(p, a, b, MulRow,
              [](const float* dy, const float* A, const float* B, size_t n, float* da, float* db) {
                if (da != nullptr) AddProductRow(dy, B, n, da);
                if (db != nullptr) AddProductRow(dy, A, n, db);
              });
}

Var Neg(Pass& p, Var x) {
  const auto kernel = [](const float* in, size_t n, float* y) { ScaleRow(in, -1.0f, n, y); };
  return Map(p, x, kernel, Slope::kMinusOne);
}

Var OneMinus(Pass& p, Var x) { return Map(p, x, OneMinusRow, Slope::kMinusOne); }

Var SigmoidInPlace(Pass& p, Var x) { return MapInPlace(p, x, SigmoidRow, Slope::kSigmoid); }

Var TanhInPlace(Pass& p, Var x) { return MapInPlace(p, x, TanhRow, Slope::kTanh); }

Var Silu(Pass& p, Var x) { return Map(p, x, SiluRow, Slope::kSilu); }

Var ReluSquaredInPlace(Pass& p, Var x) {
  return MapInPlace(p, x, ReluSquaredRow, Slope::kReluSquared);
}

Var ExpNegExp(Pass& p, Var x) { return Map(p, x, ExpNegExpRow, Slope::kExpNegExp); }

}  // namespace linnet
