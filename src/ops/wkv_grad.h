// What Wkv6 and Wkv7 share: running segments by heads, and going back through their states.
#ifndef LINNET_OPS_WKV_GRAD_H_
#define LINNET_OPS_WKV_GRAD_H_

#include <algorithm>
#include <atomic>
#include <vector>

#include "ops/pass.h"

namespace linnet {

inline constexpr size_t kMaxHeadSize = 256;

// run(t, len, head, state, y) advances one head's state [N, N] over rows
// [t, t + len) and writes the head's outputs y [len, N].
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

// States are kept every kEvery tokens and recomputed in between: a state is
// N times larger than the row that made it.
inline constexpr size_t kEvery = 16;

// One head of one segment, from its last row back to its first.
template <class Run, class StepBack>
void BackHead(const Pass& p, Var y, const Segment& s, size_t head, size_t heads, size_t layer,
              const float* initial, const Run& run, const StepBack& back) {
  const size_t n = y.cols() / heads, size = n * n;
  const size_t chunks = (s.len + kEvery - 1) / kEvery;
  std::vector<float> starts(chunks * size), states((kEvery + 1) * size), D(size), out(n);
  std::copy_n(initial, size, starts.data());
  for (size_t c = 1; c < chunks; ++c) {
    float* state = starts.data() + c * size;
    std::copy_n(state - size, size, state);
    run(s.begin + (c - 1) * kEvery, kEvery, head, state, {out.data(), kEvery, n, 0});
  }
  float* carried = nullptr;
  if (s.state_grad != nullptr) {
    carried = p.layout.Layer(s.state_grad, layer).wkv.data() + head * size;
    std::copy_n(carried, size, D.data());
  }
  for (size_t c = chunks; c-- > 0;) {
    const size_t begin = s.begin + c * kEvery, count = std::min(kEvery, s.len - c * kEvery);
    std::copy_n(starts.data() + c * size, size, states.data());
    for (size_t i = 0; i < count; ++i) {
      float* after = states.data() + (i + 1) * size;
      std::copy_n(after - size, size, after);
      run(begin + i, 1, head, after, {out.data(), 1, n, 0});
    }
    for (size_t i = count; i-- > 0;) {
      const float* before = states.data() + i * size;
      back(begin + i, head, before, before + size, D.data());
    }
  }
  if (carried != nullptr) std::copy_n(D.data(), size, carried);
}

// Records the backward of a Wkv: back(t, head, before, after, D) takes D, the
// gradient of the state after row t, to that of the state before it.
// `initial` holds the segments' states before the pass, [segments, heads, N, N].
template <class Run, class StepBack>
void RecordHeads(Pass& p, Var y, size_t heads, const float* initial, const Run& run,
                 const StepBack& back) {
  p.OnBackward([&p, y, heads, layer = p.layer, initial, run, back] {
    y.Settle();
    const size_t n = y.cols() / heads;
    // Heads in parallel, a head's segments in turn: parameters of a head sum
    // over all of them.
    p.pool.For(heads, [&](size_t head) {
      for (size_t i = 0; i < p.segments.size(); ++i) {
        BackHead(p, y, p.segments[i], head, heads, layer, initial + (i * heads + head) * n * n, run,
                 back);
      }
    });
  });
}

inline size_t LongestSegment(const Pass& p) {
  size_t longest = 0;
  for (const Segment& s : p.segments) longest = std::max(longest, s.len);
  return longest;
}

// Backward of every head of every segment, in any order: back(segment, head, D, scratch) takes
// D [n, n] from the gradient of the head's state after the segment to that of the state before.
// `floats` of scratch, which live in the arena.
template <class Back>
void BackHeads(const Pass& p, size_t layer, size_t heads, size_t n, size_t floats,
               const Back& back) {
  const size_t size = n * n, tasks = p.segments.size() * heads;
  const size_t slots = std::min(tasks, p.pool.threads());
  const Arena::Mark mark = p.arena.mark();
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
                           : p.layout.Layer(s.state_grad, layer).wkv.data() + head * size;
      if (carried == nullptr) {
        std::fill_n(D, size, 0.0f);
      } else {
        std::copy_n(carried, size, D);
      }
      back(task / heads, head, D, scratch[slot]);
      if (carried != nullptr) std::copy_n(D, size, carried);
    }
  });
  p.arena.Rewind(mark);
}

// A copy of the segments' wkv states, for RecordHeads; null without a tape.
inline const float* CopyStates(Pass& p) {
  if (p.tape == nullptr) return nullptr;
  const size_t size = p.layout.wkv;
  float* copy = p.Scratch(p.segments.size() * size);
  for (size_t i = 0; i < p.segments.size(); ++i) {
    std::copy_n(p.StateOf(p.segments[i]).wkv.data(), size, copy + i * size);
  }
  return copy;
}

}  // namespace linnet

#endif  // LINNET_OPS_WKV_GRAD_H_
