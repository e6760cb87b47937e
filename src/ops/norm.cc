#include "kernels/back_rows.h"
#include "kernels/rows.h"
#include "ops/back_rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

void NormBackward(const Pass& p, Var x, size_t groups, Var gain, Var bias, float eps, Var y) {
  const size_t size = x.cols() / groups, work = 8 * x.rows() * x.cols();
  for (const Var& var : {gain, bias, y}) var.InitGradient();
  const bool first_write = x.TakeFirstWrite();
  const Arena::Scope scope(p.arena);
  auto* moments = p.arena.New<Moments>(x.rows() * groups);
  p.ForRows(x.rows(), work, [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      if (first_write) std::fill_n(x.g.Row(t), x.cols(), 0.0f);
      NormBackRow(x.v.Row(t), y.g.Row(t), x.cols(), groups, gain.v.data, eps,
                  x.tracked() ? x.g.Row(t) : nullptr, moments + t * groups);
    }
  });
  if (gain.tracked() || bias.tracked()) {
    const auto sum = [&](size_t row, size_t rows, size_t col, size_t count, float* to) {
      for (size_t t = row; t < row + rows; ++t) {
        for (size_t c = col, n = 0; c < col + count; c += n) {
          const size_t group = c / size;
          n = std::min((group + 1) * size, col + count) - c;
          NormParamsBackRow(x.v.Row(t) + c, y.g.Row(t) + c, moments[t * groups + group], n,
                            to + (c - col), to + count + (c - col));
        }
      }
    };
    SumOverRows(p, x.rows(), x.cols(), 2, kLine, work, sum,
                [&](size_t i, size_t col, size_t count, const float* from) {
                  const Mat<float>& g = i == 0 ? gain.g : bias.g;
                  if (!g.empty()) AddRow(g.data + col, from, count, g.data + col);
                });
  }
}

}  // namespace

Var Norm(Pass& p, Var x, size_t groups, Var gain, Var bias, float eps) {
  const Var y = p.New(x.rows(), x.cols());
  p.ForRows(x.rows(), 4 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      NormRow(x.v.Row(t), x.cols(), groups, gain.v.data, bias.v.data, eps, y.v.Row(t));
    }
  });
  p.OnBackward(
      [&p, x, groups, gain, bias, eps, y] { NormBackward(p, x, groups, gain, bias, eps, y); });
  return y;
}

}  // namespace linnet
