#include <algorithm>

#include "ops/ops.h"

namespace linnet {
namespace {

std::span<float> Carried(const LayerState& s, ShiftOf which) {
  return which == ShiftOf::kTimeMix ? s.att_shift : s.ffn_shift;
}

void ShiftBackward(const Pass& p, Var x, Var d, ShiftOf which, size_t layer) {
  for (const Segment& s : p.segments) {
    const size_t end = s.begin + s.len;
    for (size_t t = s.begin; t < end; ++t) {
      for (size_t c = 0; c < x.cols(); ++c) {
        const float next = t + 1 < end ? d.g.Row(t + 1)[c] : 0.0f;
        x.g.Row(t)[c] += next - d.g.Row(t)[c];
      }
    }
    if (s.state_grad == nullptr) continue;
    const auto carried = Carried(p.layout.Layer(s.state_grad, layer), which);
    for (size_t c = 0; c < x.cols(); ++c) {
      x.g.Row(end - 1)[c] += carried[c];
      carried[c] = d.g.Row(s.begin)[c];
    }
  }
}

}  // namespace

Var Shift(Pass& p, Var x, ShiftOf which) {
  const Var d = p.New(x.rows(), x.cols());
  for (const Segment& s : p.segments) {
    const auto carried = Carried(p.StateOf(s), which);
    const float* last = carried.data();
    for (size_t t = s.begin; t < s.begin + s.len; ++t) {
      const float* now = x.v.Row(t);
      float* out = d.v.Row(t);
      for (size_t c = 0; c < x.cols(); ++c) out[c] = last[c] - now[c];
      last = now;
    }
    std::copy_n(last, x.cols(), carried.data());
  }
  p.OnBackward([&p, x, d, which, layer = p.layer] { ShiftBackward(p, x, d, which, layer); });
  return d;
}

}  // namespace linnet
