// Shared by Wkv6 and Wkv7: running segments by heads, and the backward through their states.
#ifndef LINNET_OPS_WKV_GRAD_H_
#define LINNET_OPS_WKV_GRAD_H_

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/rows.h"
#include "ops/back_rows.h"
#include "ops/pass.h"

namespace linnet {

inline constexpr size_t kMaxHeadSize = 256;

// run(t, len, head, state, y) updates one head's state [N, N] over rows [t, t + len) and writes the
// head's outputs y [len, N].
template <class Run>
void RunHeads(Pass& p, Var y, size_t heads, const Run& run) {
  const size_t n = y.cols() / heads;
  const auto one = [&](size_t task) {
    const Segment& s = p.segments[task / heads];
    const size_t head = task % heads;
    float* state = p.StateOf(s).wkv.data() + head * n * n;
    run(s.begin, s.len, head, state, y.v.Rows(s.begin, s.len).Columns(head * n, n));
  };
  p.pool.For(p.segments.size() * heads, one);
}

// The end of the rows that the segments cover.
inline size_t LastRow(const Pass& p) {
  size_t rows = 0;
  for (const Segment& s : p.segments) rows = std::max(rows, s.begin + s.len);
  return rows;
}

inline size_t LongestSegment(const Pass& p) {
  size_t longest = 0;
  for (const Segment& s : p.segments) longest = std::max(longest, s.len);
  return longest;
}

// Backward of every head of every segment, in any order: back(segment, head, D, scratch) turns D
// [n, n] from the gradient of the head's state after the segment into that of the state before.
// `scratch` has `floats` floats.
template <class Back>
void BackHeads(const Pass& p, size_t layer, size_t heads, size_t n, size_t floats,
               const Back& back) {
  const size_t size = n * n, tasks = p.segments.size() * heads;
  const size_t slots = std::min(tasks, p.pool.threads());
  const Arena::Scope scope(p.arena);
  std::vector<float*> scratch(slots), states(slots);
  for (size_t slot = 0; slot < slots; ++slot) {
    scratch[slot] = p.arena.New<float>(floats);
    states[slot] = p.arena.New<float>(size);
  }
  std::atomic<size_t> next = 0;
  p.pool.For(slots, [&](size_t slot) {
    for (size_t task = next++; task < tasks; task = next++) {
      const Segment& s = p.segments[task / heads];
      const size_t head = task % heads;
      float* D = states[slot];
      float* carried = s.state_grad == nullptr
                           ? nullptr
                           : p.strides.Layer(s.state_grad, layer).wkv.data() + head * size;
      if (carried == nullptr) {
        std::fill_n(D, size, 0.0f);
      } else {
        std::copy_n(carried, size, D);
      }
      back(task / heads, head, D, scratch[slot]);
      if (carried != nullptr) std::copy_n(D, size, carried);
    }
  });
}

// Adds to g, one row, the sums of the segments, [segments, cols].
inline void AddBySequence(const Pass& p, const float* sums, size_t cols, Mat<float> g) {
  SumOverRows(
      p, LastRow(p), cols, 1, kLine, 0,
      [&](size_t row, size_t rows, size_t col, size_t count, float* to) {
        for (size_t i = 0; i < p.segments.size(); ++i) {
          const size_t begin = p.segments[i].begin;
          if (begin < row || begin >= row + rows) continue;
          AddRow(to, sums + i * cols + col, count, to);
        }
      },
      [&](size_t, size_t col, size_t count, const float* sum) {
        AddRow(g.data + col, sum, count, g.data + col);
      });
}

// A copy of the segments' wkv states for the backward; null without a tape.
inline const float* CopyStates(Pass& p) {
  if (p.tape == nullptr) return nullptr;
  const size_t size = p.strides.wkv(p.layer);
  float* copy = p.Scratch(p.segments.size() * size);
  for (size_t i = 0; i < p.segments.size(); ++i) {
    std::copy_n(p.StateOf(p.segments[i]).wkv.data(), size, copy + i * size);
  }
  return copy;
}

}  // namespace linnet

#endif  // LINNET_OPS_WKV_GRAD_H_
