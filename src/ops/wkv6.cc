#include <algorithm>

#include "kernels/wkv.h"
#include "kernels/wkv_back.h"
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

void Backward(const Pass& p, const Inputs& in, size_t layer, const float* initial) {
  const size_t n = in.n, cols = in.y.cols();
  const bool shared = IsShared(in.w.g);
  const Arena::Mark mark = p.arena.mark();
  const size_t floats = p.segments.size() * cols;
  float *du = p.arena.New<float>(floats), *dw = p.arena.New<float>(floats);
  for (float* sums : {du, dw}) std::fill_n(sums, floats, 0.0f);
  for (const Var& x : {in.y, in.r, in.w, in.k, in.v, in.u}) x.Settle();
  BackHeads(p, layer, in.heads, n, Wkv6BackFloats(LongestSegment(p), n),
            [&](size_t segment, size_t head, float* D, float* scratch) {
              const Segment& s = p.segments[segment];
              const size_t at = segment * cols + head * n;
              const auto from = [&](const Var& x) { return Head(x, s.begin, head, n); };
              const auto to = [&](const Var& x) {
                return HeadGradients{x.g.Row(s.begin) + head * n, x.g.stride};
              };
              const bool summed = shared || !in.w.tracked();
              Wkv6HeadBack({from(in.r), from(in.w), from(in.k), from(in.v), in.u.v.data + head * n},
                           {to(in.y).data, in.y.g.stride}, s.len, n,
                           initial + (segment * in.heads + head) * n * n, D,
                           {to(in.r), summed ? HeadGradients{dw + at, 0} : to(in.w), to(in.k),
                            to(in.v), du + at},
                           scratch);
            });
  if (in.u.tracked()) AddBySequence(p, du, cols, in.u.g);
  if (shared) AddBySequence(p, dw, cols, in.w.g);
  p.arena.Rewind(mark);
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
  p.OnBackward([&p, in, layer = p.layer, initial] { Backward(p, in, layer, initial); });
  return in.y;
}

}  // namespace linnet
