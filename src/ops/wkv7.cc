#include <algorithm>
#include <vector>

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
  Var r, w, k, v, a, b, y;
  size_t heads, n;
};

// One step back: D is the gradient of the state after token t, and becomes that
// of `before`. S is kept [key j][value i].
void StepBack(const Inputs& in, size_t t, size_t head, const float* before, const float* after,
              float* D) {
  const size_t n = in.n, at = head * n;
  const auto value = [&](const Var& x) { return x.v.Row(t) + at; };
  const float *r = value(in.r), *w = value(in.w), *k = value(in.k), *v = value(in.v);
  const float *a = value(in.a), *b = value(in.b), *dy = in.y.g.Row(t) + at;
  float sa[kMaxHeadSize] = {}, dsa[kMaxHeadSize] = {}, dv[kMaxHeadSize] = {};
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i < n; ++i) sa[i] += before[j * n + i] * a[j];
  }
  for (size_t j = 0; j < n; ++j) {
    float *row = D + j * n, dr = 0, dw = 0, dk = 0, db = 0;
    for (size_t i = 0; i < n; ++i) {
      dr += after[j * n + i] * dy[i];
      row[i] += r[j] * dy[i];
      dw += row[i] * before[j * n + i];
      dk += row[i] * v[i];
      db += row[i] * sa[i];
      dv[i] += row[i] * k[j];
      dsa[i] += row[i] * b[j];
    }
    in.r.g.Row(t)[at + j] += dr;
    in.w.g.Row(t)[at + j] += dw;
    in.k.g.Row(t)[at + j] += dk;
    in.b.g.Row(t)[at + j] += db;
  }
  for (size_t j = 0; j < n; ++j) {
    float *row = D + j * n, da = 0;
    for (size_t i = 0; i < n; ++i) {
      da += before[j * n + i] * dsa[i];
      row[i] = row[i] * w[j] + a[j] * dsa[i];
    }
    in.a.g.Row(t)[at + j] += da;
    in.v.g.Row(t)[at + j] += dv[j];
  }
}

}  // namespace

Var Wkv7(Pass& p, Var r, Var w, Var k, Var v, Var a, Var b, size_t heads) {
  const Inputs in{r, w, k, v, a, b, p.New(r.rows(), r.cols()), heads, r.cols() / heads};
  const auto run = [in](size_t t, size_t len, size_t head, float* state, Mat<float> y) {
    const auto rows = [&](const Var& x) { return Head(x, t, head, in.n); };
    Wkv7Head({rows(in.r), rows(in.w), rows(in.k), rows(in.v), rows(in.a), rows(in.b)}, len, in.n,
             state, y.data, y.stride);
  };
  const float* initial = CopyStates(p);
  RunHeads(p, in.y, heads, run);
  if (initial != nullptr) {
    RecordHeads(p, in.y, heads, initial, run,
                [in](size_t t, size_t head, const float* before, const float* after, float* D) {
                  StepBack(in, t, head, before, after, D);
                });
  }
  return in.y;
}

}  // namespace linnet
