#include <algorithm>
#include <vector>

#include "kernels/rows.h"
#include "kernels/wkv.h"
#include "kernels/wkv_back.h"
#include "ops/ops.h"
#include "ops/wkv_grad.h"

namespace linnet {
namespace {

struct Inputs {
  Var decay, u, k, v, y;
  const float* log_w;  // -exp(decay)
};

void Backward(const Pass& p, const Inputs& in, const float* initial) {
  const size_t channels = in.k.cols(), floats = p.segments.size() * channels;
  const Arena::Mark mark = p.arena.mark();
  float *dw = p.arena.New<float>(floats), *du = p.arena.New<float>(floats);
  for (float* sums : {dw, du}) std::fill_n(sums, floats, 0.0f);
  for (const Var& x : {in.decay, in.u, in.k, in.v, in.y}) x.Settle();
  p.ForColumns(channels, 64 * in.k.rows() * channels, [&](size_t begin, size_t end) {
    std::vector<double> scratch(Wkv4BackDoubles(LongestSegment(p)));
    for (size_t i = 0; i < p.segments.size(); ++i) {
      const Segment& s = p.segments[i];
      const auto rows = [&](const Mat<float>& x) {
        return x.Rows(s.begin, s.len).Columns(begin, end - begin);
      };
      const float* state = initial + i * p.layout.wkv + begin;
      const size_t at = i * channels + begin;
      linnet::Wkv4Back({in.log_w + begin, in.u.v.data + begin, rows(in.k.v), rows(in.v.v),
                        rows(in.y.v), rows(in.y.g), state, state + channels, state + 2 * channels},
                       {dw + at, du + at, rows(in.k.g), rows(in.v.g)}, scratch.data());
    }
  });
  if (in.decay.tracked()) {
    // The slope of -exp(x) is itself; taken before the sum over sequences, whose order must not
    // depend on how a batch is cut.
    for (size_t i = 0; i < p.segments.size(); ++i) {
      MulRow(dw + i * channels, in.log_w, channels, dw + i * channels);
    }
    AddBySequence(p, dw, channels, in.decay.g);
  }
  if (in.u.tracked()) AddBySequence(p, du, channels, in.u.g);
  p.arena.Rewind(mark);
}

}  // namespace

Var Wkv4(Pass& p, Var decay, Var u, Var k, Var v) {
  const size_t channels = k.cols();
  float* log_w = p.Scratch(channels);
  NegExpRow(decay.v.data, channels, log_w);
  const Inputs in{decay, u, k, v, p.New(k.rows(), channels), log_w};
  const float* initial = CopyStates(p);
  p.ForColumns(channels, 16 * k.rows() * channels, [&](size_t begin, size_t end) {
    for (const Segment& s : p.segments) {
      float* state = p.StateOf(s).wkv.data() + begin;
      const auto rows = [&](const Var& x) {
        return x.v.Rows(s.begin, s.len).Columns(begin, end - begin);
      };
      linnet::Wkv4(in.log_w + begin, in.u.v.data + begin, rows(in.k), rows(in.v), state,
                   state + channels, state + 2 * channels, rows(in.y));
    }
  });
  p.OnBackward([&p, in, initial] { Backward(p, in, initial); });
  return in.y;
}

}  // namespace linnet
