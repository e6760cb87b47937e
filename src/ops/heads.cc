#include <algorithm>
#include <cmath>

#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

constexpr float kMinNorm = 1e-12f;

float NormOf(const float* x, size_t n) { return std::max(std::sqrt(Dot(x, x, n)), kMinNorm); }

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
  p.OnBackward([x, y, n] {
    for (size_t t = 0; t < x.rows(); ++t) {
      for (size_t at = 0; at < x.cols(); at += n) {
        const float *out = y.v.Row(t) + at, *dy = y.g.Row(t) + at;
        const float norm = NormOf(x.v.Row(t) + at, n);
        const float along = norm > kMinNorm ? Dot(out, dy, n) : 0.0f;
        for (size_t i = 0; i < n; ++i) x.g.Row(t)[at + i] += (dy[i] - out[i] * along) / norm;
      }
    }
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
  p.OnBackward([y, r, k, v, u, out, n] {
    for (size_t t = 0; t < y.rows(); ++t) {
      for (size_t at = 0; at < y.cols(); at += n) {
        const float *R = r.v.Row(t) + at, *K = k.v.Row(t) + at, *V = v.v.Row(t) + at;
        const float *U = u.v.data + at, *g = out.g.Row(t) + at;
        const float s = Bonus(R, K, U, n), ds = Dot(g, V, n);
        for (size_t i = 0; i < n; ++i) {
          y.g.Row(t)[at + i] += g[i];
          v.g.Row(t)[at + i] += s * g[i];
          r.g.Row(t)[at + i] += ds * K[i] * U[i];
          k.g.Row(t)[at + i] += ds * R[i] * U[i];
          if (u.tracked()) u.g.data[at + i] += ds * R[i] * K[i];
        }
      }
    }
  });
  return out;
}

}  // namespace linnet
