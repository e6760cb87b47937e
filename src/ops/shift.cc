#include <algorithm>

#include "kernels/back_rows.h"
#include "kernels/rows.h"
#include "ops/ops.h"
#include "ops/state_log.h"

namespace linnet {
namespace {

void ShiftBackward(const Pass& p, Var x, Var d, ShiftOf which, size_t layer) {
  const size_t n = x.cols();
  d.InitGradient();
  const bool first_write = x.TakeFirstWrite();
  for (const Segment& s : p.segments) {
    const size_t last = s.begin + s.len - 1;
    p.ForRows(s.len, 4 * s.len * n, [&](size_t begin, size_t end) {
      for (size_t t = s.begin + begin; t < s.begin + end; ++t) {
        float* to = x.g.Row(t);
        if (first_write) std::fill_n(to, n, 0.0f);
        if (t < last) {
          AddDifferenceRow(d.g.Row(t + 1), d.g.Row(t), n, to);
        } else {
          SubRow(to, d.g.Row(t), n, to);
        }
      }
    });
    if (s.state_grad == nullptr) continue;
    const auto carried = ShiftRow(p.strides.Layer(s.state_grad, layer), which);
    AddRow(x.g.Row(last), carried.data(), n, x.g.Row(last));
    std::copy_n(d.g.Row(s.begin), n, carried.data());
  }
}

}  // namespace

std::span<float> ShiftRow(const LayerState& s, ShiftOf which) {
  if (which == ShiftOf::kQuery) return s.query_shift;
  return which == ShiftOf::kTimeMix ? s.att_shift : s.ffn_shift;
}

Var Shift(Pass& p, Var x, ShiftOf which) {
  const Var d = p.New(x.rows(), x.cols());
  p.ForRows(x.rows(), 2 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (const Segment& s : p.segments) {
      const float* state = ShiftRow(p.StateOf(s), which).data();
      for (size_t t = std::max(begin, s.begin); t < std::min(end, s.begin + s.len); ++t) {
        SubRow(t == s.begin ? state : x.v.Row(t - 1), x.v.Row(t), x.cols(), d.v.Row(t));
      }
    }
  });
  for (const Segment& s : p.segments) {
    std::copy_n(x.v.Row(s.begin + s.len - 1), x.cols(), ShiftRow(p.StateOf(s), which).data());
  }
  StateLog::AddShift(p, which, x.v);
  p.OnBackward([&p, x, d, which, layer = p.layer] { ShiftBackward(p, x, d, which, layer); });
  return d;
}

}  // namespace linnet
