#include "kernels/back_rows.h"
#include "kernels/rows.h"
#include "ops/back_rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

// sum over the head of r * k * u.
float Bonus(const float* r, const float* k, const float* u, size_t n) { return Dot3(r, k, u, n); }

}  // namespace

Var NormalizeHeads(Pass& p, Var x, size_t heads) {
  const Var y = p.New(x.rows(), x.cols());
  const size_t n = x.cols() / heads;
  p.ForRows(x.rows(), 2 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      NormalizeRow(x.v.Row(t), x.cols(), heads, y.v.Row(t));
    }
  });
  p.OnBackward([&p, x, y, n] {
    if (!x.tracked()) return;
    y.InitGradient();
    const bool first_write = x.TakeFirstWrite();
    p.ForRows(x.rows(), 4 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        if (first_write) std::fill_n(x.g.Row(t), x.cols(), 0.0f);
        for (size_t at = 0; at < x.cols(); at += n) {
          NormalizeBackRow(x.v.Row(t) + at, y.v.Row(t) + at, y.g.Row(t) + at, n, x.g.Row(t) + at);
        }
      }
    });
  });
  return y;
}

Var AddBonus(Pass& p, Var y, Var r, Var k, Var v, Var u, size_t heads) {
  const Var out = p.New(y.rows(), y.cols());
  const size_t n = y.cols() / heads;
  p.ForRows(y.rows(), 4 * y.rows() * y.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      for (size_t at = 0; at < y.cols(); at += n) {
        const float s = Bonus(r.v.Row(t) + at, k.v.Row(t) + at, u.v.data + at, n);
        const float *from = y.v.Row(t), *value = v.v.Row(t);
        float* to = out.v.Row(t);
        for (size_t i = at; i < at + n; ++i) to[i] = from[i] + s * value[i];
      }
    }
  });
  p.OnBackward([&p, y, r, k, v, u, out, n] {
    out.InitGradient();
    const Var shared = u.tracked() ? Broadcast(u, out.rows()) : u;
    BackRows<5>(p, out.rows(), out.cols(), n, {y, r, k, v, shared},
                [&](size_t t, size_t col, size_t count, const auto& to) {
                  const auto from = [&](float* g, size_t at) { return g == nullptr ? g : g + at; };
                  for (size_t at = 0; at < count; at += n) {
                    const auto head = [&](const Mat<float>& x) { return x.Row(t) + col + at; };
                    BonusBackRow(
                        {head(r.v), head(k.v), head(v.v), u.v.data + col + at, head(out.g)}, n,
                        {from(to[0], at), from(to[1], at), from(to[2], at), from(to[3], at),
                         from(to[4], at)});
                  }
                });
  });
  return out;
}

}  // namespace linnet
