#include <algorithm>

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
  Var r, w, k, v, u, y;
  size_t heads, n;
  const float* first;  // u as the recurrence reads it, [C]
  bool log_u;
};

const float* FirstRow(Pass& p, Var u, bool log_u, size_t cols) {
  const float* values = u.v.data;
  if (log_u) {
    float* powers = p.Scratch(u.cols());
    ExpRow(values, u.cols(), powers);
    values = powers;
  }
  if (u.cols() == cols) return values;
  float* row = p.Scratch(cols);
  for (size_t c = 0; c < cols; ++c) row[c] = values[c * u.cols() / cols];
  return row;
}

// Turns `du` [segments, C], the gradient of u per segment, into that of its parameter. Derivatives
// and sums within a head come before the sum over sequences, whose order must not depend on how a
// batch is split.
void AddToFirst(const Pass& p, const Inputs& in, float* du) {
  const size_t cols = in.y.cols(), values = in.u.cols();
  for (size_t i = 0; i < p.segments.size(); ++i) {
    const float* from = du + i * cols;
    float* to = du + i * values;
    if (in.log_u) MulRow(from, in.first, cols, du + i * cols);
    if (values == cols) continue;
    for (size_t head = 0; head < values; ++head) {
      float sum = 0;
      for (size_t c = 0; c < cols / values; ++c) sum += from[head * (cols / values) + c];
      to[head] = sum;
    }
  }
  AddBySequence(p, du, values, in.u.g);
}

void Backward(const Pass& p, const Inputs& in, size_t layer, const float* initial) {
  const size_t n = in.n, cols = in.y.cols();
  const bool shared = IsShared(in.w.g);
  const Arena::Scope scope(p.arena);
  const size_t floats = p.segments.size() * cols;
  float *du = p.arena.New<float>(floats), *dw = p.arena.New<float>(floats);
  for (float* sums : {du, dw}) std::fill_n(sums, floats, 0.0f);
  for (const Var& x : {in.y, in.r, in.w, in.k, in.v, in.u}) x.InitGradient();
  BackHeads(p, layer, in.heads, n, Wkv6BackFloats(LongestSegment(p), n),
            [&](size_t segment, size_t head, float* D, float* scratch) {
              const Segment& s = p.segments[segment];
              const size_t at = segment * cols + head * n;
              const auto from = [&](const Var& x) { return Head(x, s.begin, head, n); };
              const auto to = [&](const Var& x) {
                return HeadGradients{x.g.Row(s.begin) + head * n, x.g.stride};
              };
              const bool summed = shared || !in.w.tracked();
              Wkv6HeadBack({from(in.r), from(in.w), from(in.k), from(in.v), in.first + head * n},
                           {to(in.y).data, in.y.g.stride}, s.len, n,
                           initial + (segment * in.heads + head) * n * n, D,
                           {to(in.r), summed ? HeadGradients{dw + at, 0} : to(in.w), to(in.k),
                            to(in.v), du + at},
                           scratch);
            });
  if (in.u.tracked()) AddToFirst(p, in, du);
  if (shared) AddBySequence(p, dw, cols, in.w.g);
}

}  // namespace

Var Wkv6(Pass& p, Var r, Var w, Var k, Var v, Var u, size_t heads, bool log_u) {
  const size_t cols = r.cols();
  const Inputs in{
      r,    w, k, v, u, p.New(r.rows(), cols), heads, cols / heads, FirstRow(p, u, log_u, cols),
      log_u};
  const auto run = [in](size_t t, size_t len, size_t head, float* state, Mat<float> y) {
    const auto rows = [&](const Var& x) { return Head(x, t, head, in.n); };
    Wkv6Head({rows(in.r), rows(in.w), rows(in.k), rows(in.v), in.first + head * in.n}, len, in.n,
             state, y.data, y.stride);
  };
  const float* initial = CopyStates(p);
  RunHeads(p, in.y, heads, run);
  StateLog::AddWkv6(p, in.first, w, k, v, heads);
  p.OnBackward([&p, in, layer = p.layer, initial] { Backward(p, in, layer, initial); });
  return in.y;
}

}  // namespace linnet
