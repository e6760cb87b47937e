#include "kernels/wkv.h"
#include "ops/ops.h"
#include "ops/wkv_grad.h"

namespace linnet {
namespace {

// One head's rows from t on.
HeadRows Head(const Var& x, size_t t, size_t head, size_t n) {
  return {x.v.Row(t) + head * n, x.v.stride};
}

struct Inputs {
  Var r, w, k, v, u, y;
  size_t heads, n;
};

// One step back: D is the gradient of the state after token t, and becomes that
// of `before`. S is kept [key j][value i].
void StepBack(const Inputs& in, size_t t, size_t head, const float* before, float* D) {
  const size_t n = in.n, at = head * n;
  const auto value = [&](const Var& x) { return x.v.Row(t) + at; };
  const float *r = value(in.r), *w = value(in.w), *k = value(in.k), *v = value(in.v);
  const float *u = in.u.v.data + at, *dy = in.y.g.Row(t) + at;
  float dv[kMaxHeadSize] = {}, vdy = 0, ruk = 0;
  for (size_t i = 0; i < n; ++i) {
    vdy += v[i] * dy[i];
    ruk += r[i] * u[i] * k[i];
  }
  for (size_t j = 0; j < n; ++j) {
    float *row = D + j * n, dr = 0, dw = 0, dk = 0;
    for (size_t i = 0; i < n; ++i) {
      dr += before[j * n + i] * dy[i];
      dw += row[i] * before[j * n + i];
      dk += row[i] * v[i];
      dv[i] += row[i] * k[j];
      row[i] = row[i] * w[j] + r[j] * dy[i];
    }
    in.r.g.Row(t)[at + j] += dr + u[j] * k[j] * vdy;
    in.w.g.Row(t)[at + j] += dw;
    in.k.g.Row(t)[at + j] += dk + vdy * u[j] * r[j];
    if (in.u.tracked()) in.u.g.data[at + j] += vdy * r[j] * k[j];
  }
  for (size_t i = 0; i < n; ++i) in.v.g.Row(t)[at + i] += dv[i] + ruk * dy[i];
}

}  // namespace

Var Wkv6(Pass& p, Var r, Var w, Var k, Var v, Var u, size_t heads) {
  const Inputs in{r, w, k, v, u, p.New(r.rows(), r.cols()), heads, r.cols() / heads};
  const auto run = [in](size_t t, size_t len, size_t head, float* state, Mat<float> y) {
    const auto rows = [&](const Var& x) { return Head(x, t, head, in.n); };
    Wkv6Head({rows(in.r), rows(in.w), rows(in.k), rows(in.v), in.u.v.data + head * in.n}, len, in.n,
             state, y.data, y.stride);
  };
  const float* initial = CopyStates(p);
  RunHeads(p, in.y, heads, run);
  if (initial != nullptr) {
    RecordHeads(p, in.y, heads, initial, run,
                [in](size_t t, size_t head, const float* before, const float*, float* D) {
                  StepBack(in, t, head, before, D);
                });
    p.OnBackward([in] {  // before that
      for (const Var& x : {in.r, in.w, in.k, in.v, in.u}) x.Settle();
    });
  }
  return in.y;
}

}  // namespace linnet
