#include <algorithm>
#include <vector>

#include "kernels/rows.h"
#include "kernels/wkv.h"
#include "kernels/wkv_back.h"
#include "ops/ops.h"
#include "ops/state_log.h"
#include "ops/wkv_grad.h"

namespace linnet {
namespace {

struct Inputs {
  Var decay, u, k, v, y;
  const float* log_w;  // -exp(decay)
  size_t layer;
};

// `initial` [segments, state] are the states before the segments, `end_pp` [segments, C] the
// exponents after them.
void Backward(const Pass& p, const Inputs& in, const float* initial, const float* end_pp) {
  const size_t channels = in.k.cols(), floats = p.segments.size() * channels;
  const Arena::Scope scope(p.arena);
  float *dw = p.arena.New<float>(floats), *du = p.arena.New<float>(floats);
  for (float* sums : {dw, du}) std::fill_n(sums, floats, 0.0f);
  for (const Var& x : {in.decay, in.u, in.k, in.v, in.y}) x.InitGradient();
  p.ForColumns(channels, 64 * in.k.rows() * channels, [&](size_t begin, size_t end) {
    std::vector<double> scratch(Wkv4BackDoubles(LongestSegment(p)));
    for (size_t i = 0; i < p.segments.size(); ++i) {
      const Segment& s = p.segments[i];
      const auto rows = [&](const Mat<float>& x) {
        return x.Rows(s.begin, s.len).Columns(begin, end - begin);
      };
      const float* state = initial + i * p.strides.wkv(in.layer) + begin;
      const size_t at = i * channels + begin;
      float* carried = s.state_grad == nullptr
                           ? nullptr
                           : p.strides.Layer(s.state_grad, in.layer).wkv.data() + begin;
      linnet::Wkv4Back(
          {in.log_w + begin, in.u.v.data + begin, rows(in.k.v), rows(in.v.v), rows(in.y.v),
           rows(in.y.g), state, state + channels, state + 2 * channels, end_pp + at},
          {dw + at, du + at, rows(in.k.g), rows(in.v.g), carried,
           carried == nullptr ? nullptr : carried + channels},
          scratch.data());
    }
  });
  if (in.decay.tracked()) {
    // -exp(x) is its own derivative. It is applied before the sum over sequences, whose order must
    // not depend on how a batch is split.
    for (size_t i = 0; i < p.segments.size(); ++i) {
      MulRow(dw + i * channels, in.log_w, channels, dw + i * channels);
    }
    AddBySequence(p, dw, channels, in.decay.g);
  }
  if (in.u.tracked()) AddBySequence(p, du, channels, in.u.g);
}

}  // namespace

Var Wkv4(Pass& p, Var decay, Var u, Var k, Var v) {
  const size_t channels = k.cols();
  float* log_w = p.Scratch(channels);
  NegExpRow(decay.v.data, channels, log_w);
  const Inputs in{decay, u, k, v, p.New(k.rows(), channels), log_w, p.layer};
  const float* initial = CopyStates(p);
  float* end_pp = p.tape == nullptr ? nullptr : p.Scratch(p.segments.size() * channels);
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
  StateLog::AddWkv4(p, log_w, k, v);
  for (size_t i = 0; end_pp != nullptr && i < p.segments.size(); ++i) {
    const float* pp = p.StateOf(p.segments[i]).wkv.data() + 2 * channels;
    std::copy_n(pp, channels, end_pp + i * channels);
  }
  p.OnBackward([&p, in, initial, end_pp] { Backward(p, in, initial, end_pp); });
  return in.y;
}

}  // namespace linnet
