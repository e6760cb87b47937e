#include <algorithm>
#include <vector>

#include "kernels/wkv.h"
#include "kernels/wkv_back.h"
#include "ops/ops.h"
#include "ops/wkv_grad.h"

namespace linnet {
namespace {

struct Inputs {
  Var w, u, k, v, y;
};

void Backward(const Pass& p, const Inputs& in, const float* initial) {
  const size_t channels = in.k.cols(), floats = p.segments.size() * channels;
  const Arena::Mark mark = p.arena.mark();
  float *dw = p.arena.New<float>(floats), *du = p.arena.New<float>(floats);
  for (float* sums : {dw, du}) std::fill_n(sums, floats, 0.0f);
  for (const Var& x : {in.w, in.u, in.k, in.v, in.y}) x.Settle();
  p.ForColumns(channels, 64 * in.k.rows() * channels, [&](size_t begin, size_t end) {
    std::vector<double> scratch(Wkv4BackDoubles(LongestSegment(p)));
    for (size_t i = 0; i < p.segments.size(); ++i) {
      const Segment& s = p.segments[i];
      const auto rows = [&](const Mat<float>& x) {
        return x.Rows(s.begin, s.len).Columns(begin, end - begin);
      };
      const float* state = initial + i * p.layout.wkv + begin;
      const size_t at = i * channels + begin;
      linnet::Wkv4Back({in.w.v.data + begin, in.u.v.data + begin, rows(in.k.v), rows(in.v.v),
                        rows(in.y.v), rows(in.y.g), state, state + channels, state + 2 * channels},
                       {dw + at, du + at, rows(in.k.g), rows(in.v.g)}, scratch.data());
    }
  });
  if (in.w.tracked()) AddBySequence(p, dw, channels, in.w.g);
  if (in.u.tracked()) AddBySequence(p, du, channels, in.u.g);
  p.arena.Rewind(mark);
}

}  // namespace

Var Wkv4(Pass& p, Var log_w, Var u, Var k, Var v) {
  const Inputs in{log_w, u, k, v, p.New(k.rows(), k.cols())};
  const size_t channels = k.cols();
  const float* initial = CopyStates(p);
  p.ForColumns(channels, 16 * k.rows() * channels, [&](size_t begin, size_t end) {
    for (const Segment& s : p.segments) {
      float* state = p.StateOf(s).wkv.data() + begin;
      const auto rows = [&](const Var& x) {
        return x.v.Rows(s.begin, s.len).Columns(begin, end - begin);
      };
      linnet::Wkv4(in.w.v.data + begin, in.u.v.data + begin, rows(in.k), rows(in.v), state,
                   state + channels, state + 2 * channels, rows(in.y));
    }
  });
  p.OnBackward([&p, in, initial] { Backward(p, in, initial); });
  return in.y;
}

}  // namespace linnet
