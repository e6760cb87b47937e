// Linear with an epilogue that is applied to each block of the product while it is in cache. The
// backward applies the derivative while it writes the operands of the gradient's products.
#include <algorithm>

#include "kernels/back_rows.h"
#include "kernels/rows.h"
#include "ops/back_rows.h"
#include "ops/ops.h"
#include "ops/product.h"

namespace linnet {
namespace {

// Values of a row that are processed at a time, so that they stay in L1.
constexpr size_t kNear = 512;

// A parameter's row broadcast to all rows, if it is trained.
Var Shared(Var row, size_t rows) { return row.tracked() ? Broadcast(row, rows) : row; }

// A product x and its map y, which share a gradient. For columns [column, column + count) of row t
// turns the gradient of y into that of x: in `to`, or in place if that is null. Also adds it to
// `sum`, which may be null.
void SlopeBack(Slope slope, Var x, Var y, size_t t, size_t column, size_t count,
               const Activations* to, float* sum) {
  float near[kNear], dy[kNear];
  for (size_t i = 0; i < count; i += kNear) {
    const size_t at = column + i, n = std::min(kNear, count - i);
    float* g = y.g.Row(t) + at;
    float* dx = to == nullptr ? g : near;
    if (slope == Slope::kWkv7Decay) {
      std::copy_n(g, n, dy);
      std::fill_n(dx, n, 0.0f);
      AddSlopeRow(slope, x.v.Row(t) + at, y.v.Row(t) + at, dy, n, dx);
    } else {
      if (dx != g) std::copy_n(g, n, dx);
      MulSlopeRow(slope, y.v.Row(t) + at, n, dx);
    }
    if (to != nullptr) PutBF16(*to, t, at, dx, n);
    if (sum != nullptr) AddRow(sum + i, dx, n, sum + i);
  }
}

EpilogueBackward BackWithBias(Pass& p, Slope slope, Var x, Var y, Var bias) {
  return [&p, slope, x, y, bias](const Activations* to) {
    BackRows<1>(p, y.rows(), y.cols(), kLine, {Shared(bias, y.rows())},
                [&](size_t t, size_t col, size_t n, const auto& sums) {
                  SlopeBack(slope, x, y, t, col, n, to, sums[0]);
                });
  };
}

}  // namespace

Var LinearSigmoid(Pass& p, Var x, const LinearParam& w, Var bias) {
  const Var y = p.New(x.rows(), w.w.rows);
  const auto map = [bias](Mat<float> block, size_t, size_t column) {
    for (size_t t = 0; t < block.rows; ++t) {
      AddRow(block.Row(t), bias.v.data + column, block.cols, block.Row(t));
      SigmoidRow(block.Row(t), block.cols, block.Row(t));
    }
  };
  MappedLinear(p, x, w, y, map, BackWithBias(p, Slope::kSigmoid, y, y, bias));
  return y;
}

Var LinearWkv7Decay(Pass& p, Var x, const LinearParam& w, Var bias) {
  const Var inner = p.New(x.rows(), w.w.rows);
  Var y = inner;
  y.v.data = p.Scratch(y.rows() * y.cols());
  const auto map = [bias, y](Mat<float> block, size_t row, size_t column) {
    for (size_t t = 0; t < block.rows; ++t) {
      AddRow(block.Row(t), bias.v.data + column, block.cols, block.Row(t));
      Wkv7DecayRow(block.Row(t), block.cols, y.v.Row(row + t) + column);
    }
  };
  MappedLinear(p, x, w, inner, map, BackWithBias(p, Slope::kWkv7Decay, inner, y, bias));
  return y;
}

Var LinearReluSquared(Pass& p, Var x, const LinearParam& w, const LinearParam& reader) {
  const LinearParam* readers[] = {&reader};
  const Activation form = FormFor(p, readers);
  // Other forms can only be made of whole rows.
  if (form != Activation::kBF16 || w.w.rows % 32 != 0 || p.Changes(w)) {
    if (p.tape != nullptr) return ReluSquaredInPlace(p, Linear(p, x, w));
    const Var y = p.New(x.rows(), w.w.rows);
    const auto map = [](Mat<float> block, size_t, size_t) {
      for (size_t t = 0; t < block.rows; ++t) {
        ReluSquaredRow(block.Row(t), block.cols, block.Row(t));
      }
    };
    MappedLinear(p, x, w, y, map, nullptr);
    return y;
  }
  Var y = p.NewFor(form, x.rows(), w.w.rows);
  // With a tape the values are kept, too: the derivative needs them.
  if (p.tape != nullptr) y.v.data = p.Scratch(y.rows() * y.cols());
  const auto map = [y](Mat<float> block, size_t row, size_t column) {
    for (size_t t = 0; t < block.rows; ++t) {
      ReluSquaredRow(block.Row(t), block.cols, block.Row(t));
      PutBF16(y.ready, row + t, column, block.Row(t), block.cols);
    }
  };
  const auto back = [&p, y](const Activations* to) {
    p.ForRows(y.rows(), 4 * y.rows() * y.cols(), [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        SlopeBack(Slope::kReluSquared, y, y, t, 0, y.cols(), to, nullptr);
      }
    });
  };
  MappedLinear(p, x, w, y, map, back);
  return y;
}

}  // namespace linnet
