#include "ops/state_log.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/wkv.h"

namespace linnet {
namespace {

bool AnyLog(const Pass& p) {
  return std::any_of(p.segments.begin(), p.segments.end(),
                     [](const Segment& s) { return s.log != nullptr; });
}

// Rows [begin, end).
void CopyRows(const Mat<float>& from, size_t begin, size_t end, const Mat<float>& to) {
  for (size_t t = begin; t < end; ++t) std::copy_n(from.Row(t), from.cols, to.Row(t));
}

}  // namespace

void StateLog::Clear() {
  for (Layer& layer : layers_) {
    for (Rows& rows : layer.shifts) rows.count = 0;
    for (Rows& rows : layer.inputs) rows.count = 0;
  }
}

Mat<float> StateLog::Rows::Extend(size_t rows, size_t columns) {
  cols = columns;
  const size_t begin = count * cols;
  count += rows;
  // Never smaller: what is there already is not set to zero again.
  if (values.size() < count * cols) values.resize(count * cols);
  return {values.data() + begin, rows, cols, cols};
}

StateLog::Layer& StateLog::LayerOf(const Pass& p) {
  strides_ = p.strides;
  layers_.resize(p.strides.layers.size());
  return layers_[p.layer];
}

void StateLog::Replay(std::span<float> state, size_t rows) const {
  LINNET_CHECK(state.size() == strides_.floats());
  if (rows == 0) return;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const LayerState to = strides_.Layer(state.data(), i);
    for (const ShiftOf which : {ShiftOf::kTimeMix, ShiftOf::kChannelMix, ShiftOf::kQuery}) {
      const Rows& shift = layer.shifts[static_cast<size_t>(which)];
      if (shift.count == 0) continue;
      std::copy_n(shift.First(rows).Row(rows - 1), shift.cols, ShiftRow(to, which).data());
    }
    Replay(layer, rows, to.wkv);
  }
}

void StateLog::Replay(const Layer& layer, size_t rows, std::span<float> wkv) {
  if (layer.recurrence == Recurrence::kNone) return;
  const Mat<const float> first = layer.inputs[0].First(rows);
  const size_t cols = first.cols;
  std::vector<float> y(rows * cols);  // not used
  if (layer.recurrence == Recurrence::kWkv4) {
    const float* log_w = layer.shared.data();
    Wkv4(log_w, log_w, first, layer.inputs[1].First(rows), wkv.data(), wkv.data() + cols,
         wkv.data() + 2 * cols, {y.data(), rows, cols, cols});
    return;
  }
  const size_t n = cols / layer.heads;
  for (size_t head = 0; head < layer.heads; ++head) {
    const auto in = [&](size_t i) {
      return HeadRows{layer.inputs[i].First(rows).data + head * n, cols};
    };
    float* state = wkv.data() + head * n * n;
    // y needs r, but no state does.
    if (layer.recurrence == Recurrence::kWkv6) {
      Wkv6Head({in(1), in(0), in(1), in(2), layer.shared.data() + head * n}, rows, n, state,
               y.data(), n);
    } else {
      Wkv7Head({in(1), in(0), in(1), in(2), in(3), in(4)}, rows, n, state, y.data(), n);
    }
  }
}

void StateLog::AddShift(const Pass& p, ShiftOf which, const Mat<float>& rows) {
  for (const Segment& s : p.segments) {
    if (s.log == nullptr) continue;
    Rows& shift = s.log->LayerOf(p).shifts[static_cast<size_t>(which)];
    CopyRows(rows.Rows(s.begin, s.len), 0, s.len, shift.Extend(s.len, rows.cols));
  }
}

void StateLog::AddWkv(const Pass& p, Recurrence recurrence, size_t heads,
                      std::span<const float> shared, std::initializer_list<Mat<float>> inputs) {
  for (const Segment& s : p.segments) {
    if (s.log == nullptr) continue;
    Layer& layer = s.log->LayerOf(p);
    layer.recurrence = recurrence;
    layer.heads = heads;
    layer.shared.assign(shared.begin(), shared.end());
    const Mat<float>* const in = inputs.begin();
    std::array<Mat<float>, kMostInputs> to;
    for (size_t i = 0; i < inputs.size(); ++i) to[i] = layer.inputs[i].Extend(s.len, in[i].cols);
    p.ForRows(s.len, 2 * inputs.size() * s.len * in->cols, [&](size_t from, size_t end) {
      for (size_t i = 0; i < inputs.size(); ++i) {
        CopyRows(in[i].Rows(s.begin, s.len), from, end, to[i]);
      }
    });
  }
}

void StateLog::AddWkv4(const Pass& p, const float* log_w, Var k, Var v) {
  if (!AnyLog(p)) return;
  AddWkv(p, Recurrence::kWkv4, 1, {log_w, k.cols()}, {k.v, v.v});
}

void StateLog::AddWkv6(const Pass& p, const float* u, Var w, Var k, Var v, size_t heads) {
  if (!AnyLog(p)) return;
  AddWkv(p, Recurrence::kWkv6, heads, {u, k.cols()}, {w.v, k.v, v.v});
}

void StateLog::AddWkv7(const Pass& p, Var w, Var k, Var v, Var a, Var b, size_t heads) {
  if (!AnyLog(p)) return;
  AddWkv(p, Recurrence::kWkv7, heads, {}, {w.v, k.v, v.v, a.v, b.v});
}

}  // namespace linnet
