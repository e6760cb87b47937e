// Products and the maps that follow them, done to each block of a product while it is near.
#include "kernels/back_rows.h"
#include "kernels/convert.h"
#include "kernels/rows.h"
#include "ops/back_rows.h"
#include "ops/ops.h"
#include "ops/product.h"

namespace linnet {
namespace {

// A parameter's row as one of each row, if it learns.
Var Shared(Var row, size_t rows) { return row.tracked() ? Broadcast(row, rows) : row; }

void AddTo(float* sum, const float* dy, size_t n) {
  if (sum != nullptr) AddRow(sum, dy, n, sum);
}

}  // namespace

Var LinearSigmoid(Pass& p, Var x, const LinearParam& w, Var bias) {
  const Var y = p.New(x.rows(), w.w.rows);
  LinearInto(p, x, w, y, [&](Mat<float> block, size_t, size_t column) {
    for (size_t t = 0; t < block.rows; ++t) {
      AddRow(block.Row(t), bias.v.data + column, block.cols, block.Row(t));
      SigmoidRow(block.Row(t), block.cols, block.Row(t));
    }
  });
  p.OnBackward([&p, bias, y] {
    y.Settle();
    BackRows<1>(p, y.rows(), y.cols(), kLine, {Shared(bias, y.rows())},
                [&](size_t t, size_t col, size_t n, const auto& to) {
                  MulSlopeRow(Slope::kSigmoid, y.v.Row(t) + col, n, y.g.Row(t) + col);
                  AddTo(to[0], y.g.Row(t) + col, n);
                });
  });
  return y;
}

Var LinearGooseDecay(Pass& p, Var x, const LinearParam& w, Var bias) {
  const Var inner = p.New(x.rows(), w.w.rows), y = p.New(x.rows(), w.w.rows);
  LinearInto(p, x, w, inner, [&](Mat<float> block, size_t row, size_t column) {
    for (size_t t = 0; t < block.rows; ++t) {
      AddRow(block.Row(t), bias.v.data + column, block.cols, block.Row(t));
      GooseDecayRow(block.Row(t), block.cols, y.v.Row(row + t) + column);
    }
  });
  p.OnBackward([&p, inner, bias, y] {
    y.Settle();
    BackRows<2>(p, y.rows(), y.cols(), kLine, {inner, Shared(bias, y.rows())},
                [&](size_t t, size_t col, size_t n, const auto& to) {
                  AddSlopeRow(Slope::kGooseDecay, inner.v.Row(t) + col, y.v.Row(t) + col,
                              y.g.Row(t) + col, n, to[0]);
                  AddTo(to[1], to[0], n);
                });
  });
  return y;
}

Var LinearReluSquared(Pass& p, Var x, const LinearParam& w, const LinearParam& reader) {
  const LinearParam* readers[] = {&reader};
  const Activation form = FormFor(p, readers);
  // Other forms are made of whole rows.
  if (form != Activation::kBF16 || w.w.rows % 32 != 0 || !w.deltas.empty()) {
    return ReluSquared(p, Linear(p, x, w));
  }
  Var y = p.NewFor(form, x.rows(), w.w.rows);
  // With a tape the values stay beside: the slope is made of them.
  if (p.tape != nullptr) y.v.data = p.arena.New<float>(y.rows() * y.cols());
  LinearInto(p, x, w, y, [&](Mat<float> block, size_t row, size_t column) {
    for (size_t t = 0; t < block.rows; ++t) {
      ReluSquaredRow(block.Row(t), block.cols, block.Row(t));
      auto* to = const_cast<std::byte*>(y.ready.data) + (row + t) * y.ready.stride;
      F32ToBF16Row(block.Row(t), block.cols, reinterpret_cast<uint16_t*>(to) + column);
    }
  });
  p.OnBackward([&p, y] {
    y.Settle();
    p.ForRows(y.rows(), 4 * y.rows() * y.cols(), [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        MulSlopeRow(Slope::kReluSquared, y.v.Row(t), y.cols(), y.g.Row(t));
      }
    });
  });
  return y;
}

}  // namespace linnet
