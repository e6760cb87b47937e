#include <algorithm>
#include <vector>

#include "base/check.h"
#include "kernels/back_rows.h"
#include "kernels/rows.h"
#include "ops/back_rows.h"
#include "ops/ops.h"
#include "ops/product.h"
#include "ops/state_log.h"

namespace linnet {
namespace {

struct Mixes {
  size_t count = 0;
  std::array<Var, kMaxMixes> mu, y;
};

// Pointers to [t][col] of each mix, in order.
using ConstRows = std::array<const float*, kMaxMixes>;
using Rows = std::array<float*, kMaxMixes>;

// Rows [begin, end) of the pass. Mixes for products are computed in one row each that stays in
// cache.
void MixBlock(const Pass& p, Var x, ShiftOf which, const Mixes& m, size_t begin, size_t end) {
  ConstRows mu;
  Rows y;
  const size_t C = x.cols();
  const auto ready = [&](size_t i) { return m.y[i].ready.data != nullptr; };
  std::vector<float> near;
  for (size_t i = 0; i < m.count; ++i) {
    mu[i] = m.mu[i].v.data;
    if (ready(i)) near.resize(m.count * C);
  }
  for (const Segment& s : p.segments) {
    const float* state = ShiftRow(p.StateOf(s), which).data();
    for (size_t t = std::max(begin, s.begin); t < std::min(end, s.begin + s.len); ++t) {
      for (size_t i = 0; i < m.count; ++i) {
        y[i] = ready(i) ? near.data() + i * C : m.y[i].v.Row(t);
      }
      const float* last = t == s.begin ? state : x.v.Row(t - 1);
      MixRow(x.v.Row(t), last, mu.data(), m.count, C, y.data());
      for (size_t i = 0; i < m.count; ++i) {
        if (ready(i)) PutReady(m.y[i], t, y[i]);
      }
    }
  }
}

// Rows [row, row + rows) x columns [col, col + count) of one sequence; sums [mixes, count] are for
// the mixes' weights. `before` [segments, C] holds the rows before the segments, `carried` the
// gradients of those rows. `first_write`: x's gradient is uninitialized.
void BackBlock(const Pass& p, Var x, const Mixes& m, const float* before, float* carried,
               size_t row, size_t rows, size_t col, size_t count, bool first_write, float* sums) {
  ConstRows mu, dy;
  Rows dmu;
  for (size_t i = 0; i < m.count; ++i) {
    mu[i] = m.mu[i].v.data + col;
    dmu[i] = sums + i * count;
  }
  for (size_t i = 0; i < p.segments.size(); ++i) {
    const Segment& s = p.segments[i];
    if (s.begin < row || s.begin >= row + rows) continue;
    const size_t at = i * x.cols() + col;
    for (size_t t = s.begin; t < s.begin + s.len; ++t) {
      for (size_t j = 0; j < m.count; ++j) dy[j] = m.y[j].g.Row(t) + col;
      const bool first = t == s.begin;
      if (first_write) std::fill_n(x.g.Row(t) + col, count, 0.0f);
      MixBackRow(dy.data(), x.v.Row(t) + col, first ? before + at : x.v.Row(t - 1) + col, mu.data(),
                 m.count, count, x.g.Row(t) + col, first ? carried + at : x.g.Row(t - 1) + col,
                 dmu.data());
    }
  }
}

void MixesBackward(const Pass& p, Var x, ShiftOf which, size_t layer, const Mixes& m,
                   const float* before) {
  const size_t C = x.cols(), segments = p.segments.size();
  for (size_t i = 0; i < m.count; ++i) {
    m.mu[i].InitGradient();
    m.y[i].InitGradient();
  }
  const bool first_write = x.TakeFirstWrite();
  const Arena::Scope scope(p.arena);
  float* carried = p.arena.New<float>(segments * C);
  std::fill_n(carried, segments * C, 0.0f);
  SumOverRows(
      p, x.rows(), C, m.count, kLine, 4 * m.count * x.rows() * C,
      [&](size_t row, size_t rows, size_t col, size_t count, float* sums) {
        BackBlock(p, x, m, before, carried, row, rows, col, count, first_write, sums);
      },
      [&](size_t i, size_t col, size_t count, const float* sum) {
        const Mat<float>& g = m.mu[i].g;
        if (!g.empty()) AddRow(g.data + col, sum, count, g.data + col);
      });
  for (size_t i = 0; i < segments; ++i) {
    const Segment& s = p.segments[i];
    if (s.state_grad == nullptr) continue;
    const auto state = ShiftRow(p.strides.Layer(s.state_grad, layer), which);
    float* last = x.g.Row(s.begin + s.len - 1);
    AddRow(last, state.data(), C, last);
    std::copy_n(carried + i * C, C, state.data());
  }
}

}  // namespace

void ShiftedLerpsInto(Pass& p, Var x, ShiftOf which, std::span<const MixFor> mu,
                      std::span<Var> mixes) {
  LINNET_CHECK(mu.size() <= kMaxMixes && mixes.size() == mu.size());
  const size_t C = x.cols();
  Mixes m{mu.size(), {}, {}};
  for (size_t i = 0; i < m.count; ++i) {
    m.mu[i] = mu[i].mu;
    const auto& readers = mu[i].readers;
    const auto count =
        static_cast<size_t>(std::find(readers.begin(), readers.end(), nullptr) - readers.begin());
    const Activation form =
        count == 0 ? Activation::kF32 : FormFor(p, std::span(readers).first(count));
    m.y[i] = mixes[i] = p.NewFor(form, x.rows(), C);
  }
  p.ForRows(x.rows(), (2 + m.count) * x.rows() * C,
            [&](size_t begin, size_t end) { MixBlock(p, x, which, m, begin, end); });
  float* before = p.tape == nullptr ? nullptr : p.Scratch(p.segments.size() * C);
  for (size_t i = 0; i < p.segments.size(); ++i) {
    const Segment& s = p.segments[i];
    const auto state = ShiftRow(p.StateOf(s), which);
    if (before != nullptr) std::copy_n(state.data(), C, before + i * C);
    std::copy_n(x.v.Row(s.begin + s.len - 1), C, state.data());
  }
  StateLog::AddShift(p, which, x.v);
  p.OnBackward(
      [&p, x, which, layer = p.layer, m, before] { MixesBackward(p, x, which, layer, m, before); });
}

}  // namespace linnet
