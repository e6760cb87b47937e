#include "kernels/wkv.h"
#include "kernels/wkv_back.h"
#include "ops/ops.h"
#include "ops/state_log.h"
#include "ops/wkv_grad.h"

namespace linnet {
namespace {

// The rows of one head from t on.
HeadRows Head(const Var& x, size_t t, size_t head, size_t n) {
  return {x.v.Row(t) + head * n, x.v.stride};
}

struct Inputs {
  Var r, w, k, v, a, b, y;
  size_t heads, n;
};

void Backward(const Pass& p, const Inputs& in, size_t layer, const float* initial) {
  const size_t n = in.n;
  in.y.InitGradient();
  const Var inputs[] = {in.r, in.w, in.k, in.v, in.a, in.b};
  bool first_write[std::size(inputs)];
  for (size_t i = 0; i < std::size(inputs); ++i) first_write[i] = inputs[i].TakeFirstWrite();
  BackHeads(p, layer, in.heads, n, Wkv7BackFloats(LongestSegment(p), n),
            [&](size_t segment, size_t head, float* D, float* scratch) {
              const Segment& s = p.segments[segment];
              const auto from = [&](const Var& x) { return Head(x, s.begin, head, n); };
              const auto to = [&](const Var& x) {
                return HeadGradients{x.g.Row(s.begin) + head * n, x.g.stride};
              };
              for (size_t i = 0; i < std::size(inputs); ++i) {
                if (!first_write[i]) continue;
                const Mat<float> g = inputs[i].g.Rows(s.begin, s.len).Columns(head * n, n);
                for (size_t t = 0; t < g.rows; ++t) std::fill_n(g.Row(t), n, 0.0f);
              }
              const HeadRows dy{to(in.y).data, in.y.g.stride};
              Wkv7HeadBack({from(in.r), from(in.w), from(in.k), from(in.v), from(in.a), from(in.b)},
                           dy, s.len, n, initial + (segment * in.heads + head) * n * n, D,
                           {to(in.r), to(in.w), to(in.k), to(in.v), to(in.a), to(in.b)}, scratch);
            });
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
  StateLog::AddWkv7(p, w, k, v, a, b, heads);
  p.OnBackward([&p, in, layer = p.layer, initial] { Backward(p, in, layer, initial); });
  return in.y;
}

}  // namespace linnet
