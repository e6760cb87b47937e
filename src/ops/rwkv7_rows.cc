// RWKV-7's row-wise operations around its recurrence, fused: a training pass is memory-bound, and
// as separate operations they would read and write a dozen more rows per token.
#include "base/check.h"
#include "kernels/back_rows.h"
#include "kernels/rows.h"
#include "ops/back_rows.h"
#include "ops/ops.h"
#include "ops/product.h"
#include "ops/wkv_grad.h"

namespace linnet {
namespace {

void Wkv7KeysRow(const float* k, const float* a, const float* k_k, const float* k_a, size_t cols,
                 size_t heads, float* key, float* remove, float* replace) {
  MulRow(k, k_k, cols, key);
  NormalizeRow(key, cols, heads, remove);
  MulRow(remove, a, cols, replace);
  ScaleRow(remove, -1.0f, cols, remove);
  MulRow(k, a, cols, key);
  SubRow(key, k, cols, key);
  LerpRow(k, key, k_a, cols, key);
}

// One head of AddBonus(Norm(y)), in place of `normed`.
void AddBonusTo(const float* r, const float* k, const float* v, const float* u, size_t n,
                float* normed) {
  const float s = Dot3(r, k, u, n);
  for (size_t i = 0; i < n; ++i) normed[i] = normed[i] + s * v[i];
}

using OutputGradients = std::array<float*, 8>;  // in the order of GatedOutputInputs

// One head at column `at` of row t; the pointers in `to` are at that column.
void BackOutput(const GatedOutputInputs& in, const Var& out, float eps, size_t t, size_t at,
                size_t n, const OutputGradients& to) {
  float normed[kMaxHeadSize], d[kMaxHeadSize], unwanted[kMaxHeadSize];
  const auto row = [&](const Var& x) { return x.v.Row(t) + at; };
  const float *r = row(in.r), *k = row(in.k), *v = row(in.v), *u = in.u.v.data + at;
  const float *y = row(in.y), *gain = in.gain.v.data + at, *dout = out.g.Row(t) + at;
  if (to[7] != nullptr) {
    NormRow(y, n, 1, gain, in.bias.v.data + at, eps, normed);
    AddBonusTo(r, k, v, u, n, normed);
    AddProductRow(dout, normed, n, to[7]);
  }
  MulRow(dout, row(in.gate), n, d);
  BonusBackRow({r, k, v, u, d}, n, {nullptr, to[1], to[2], to[3], to[4]});
  Moments moments;
  NormBackRow(y, d, n, 1, gain, eps, to[0], &moments);
  if (to[5] == nullptr && to[6] == nullptr) return;
  std::fill_n(unwanted, n, 0.0f);
  NormParamsBackRow(y, d, moments, n, to[5] == nullptr ? unwanted : to[5],
                    to[6] == nullptr ? unwanted : to[6]);
}

}  // namespace

Var MixValueResidual(Pass& p, Var v, Var first, Var share) {
  const size_t rows = v.rows(), cols = v.cols();
  const Var y = p.New(rows, cols);
  p.ForRows(rows, 4 * rows * cols, [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      SubRow(first.v.Row(t), v.v.Row(t), cols, y.v.Row(t));
      LerpRow(v.v.Row(t), y.v.Row(t), share.v.Row(t), cols, y.v.Row(t));
    }
  });
  p.OnBackward([&p, v, first, share, y] {
    y.InitGradient();
    BackRows<3>(p, y.rows(), y.cols(), kLine, {v, first, share},
                [&](size_t t, size_t col, size_t n, const auto& to) {
                  InterpolateBackRow(y.g.Row(t) + col, v.v.Row(t) + col, first.v.Row(t) + col,
                                     share.v.Row(t) + col, n, to[0], to[1], to[2]);
                });
  });
  return y;
}

Wkv7Keys MakeWkv7Keys(Pass& p, Var k, Var a, Var k_k, Var k_a, size_t heads) {
  const size_t rows = k.rows(), cols = k.cols(), n = cols / heads;
  const Wkv7Keys y{p.New(rows, cols), p.New(rows, cols), p.New(rows, cols)};
  p.ForRows(rows, 8 * rows * cols, [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      Wkv7KeysRow(k.v.Row(t), a.v.Row(t), k_k.v.data, k_a.v.data, cols, heads, y.key.v.Row(t),
                  y.remove.v.Row(t), y.replace.v.Row(t));
    }
  });
  p.OnBackward([&p, k, a, k_k, k_a, y, n] {
    for (const Var& x : {y.key, y.remove, y.replace}) x.InitGradient();
    const auto shared = [&](const Var& x) { return x.tracked() ? Broadcast(x, k.rows()) : x; };
    BackRows<4>(p, k.rows(), k.cols(), n, {k, a, shared(k_k), shared(k_a)},
                [&](size_t t, size_t col, size_t count, const auto& to) {
                  const auto from = [](float* g, size_t i) { return g == nullptr ? g : g + i; };
                  for (size_t i = 0; i < count; i += n) {
                    const size_t at = col + i;
                    Wkv7KeysBackRow(
                        {k.v.Row(t) + at, a.v.Row(t) + at, k_k.v.data + at, k_a.v.data + at,
                         y.remove.v.Row(t) + at, y.key.g.Row(t) + at, y.remove.g.Row(t) + at,
                         y.replace.g.Row(t) + at},
                        n, {from(to[0], i), from(to[1], i), from(to[2], i), from(to[3], i)});
                  }
                });
  });
  return y;
}

Var GatedOutput(Pass& p, const GatedOutputInputs& in, size_t heads, float eps,
                const LinearParam* reader) {
  const size_t rows = in.y.rows(), cols = in.y.cols(), n = cols / heads;
  LINNET_CHECK(n <= kMaxHeadSize);
  const Activation form = reader == nullptr ? Activation::kF32 : FormFor(p, {&reader, 1});
  const Var out = p.NewFor(form, rows, cols);
  p.ForRows(rows, 8 * rows * cols, [&](size_t begin, size_t end) {
    std::vector<float> near(form == Activation::kF32 ? 0 : cols);
    for (size_t t = begin; t < end; ++t) {
      float* to = near.empty() ? out.v.Row(t) : near.data();
      NormRow(in.y.v.Row(t), cols, heads, in.gain.v.data, in.bias.v.data, eps, to);
      for (size_t at = 0; at < cols; at += n) {
        AddBonusTo(in.r.v.Row(t) + at, in.k.v.Row(t) + at, in.v.v.Row(t) + at, in.u.v.data + at, n,
                   to + at);
      }
      MulRow(to, in.gate.v.Row(t), cols, to);
      if (!near.empty()) PutReady(out, t, to);
    }
  });
  p.OnBackward([&p, in, out, eps, n] {
    out.InitGradient();
    const auto shared = [&](const Var& x) { return x.tracked() ? Broadcast(x, out.rows()) : x; };
    BackRows<8>(p, out.rows(), out.cols(), n,
                {in.y, in.r, in.k, in.v, shared(in.u), shared(in.gain), shared(in.bias), in.gate},
                [&](size_t t, size_t col, size_t count, const auto& to) {
                  for (size_t i = 0; i < count; i += n) {
                    OutputGradients head = to;
                    for (float*& g : head) g = g == nullptr ? g : g + i;
                    BackOutput(in, out, eps, t, col + i, n, head);
                  }
                });
  });
  return out;
}

}  // namespace linnet
