// Pass: the context of one forward pass; Var: a value with an optional gradient.
#ifndef LINNET_OPS_PASS_H_
#define LINNET_OPS_PASS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/thread_pool.h"
#include "kernels/matmul.h"
#include "tensor/mat.h"
#include "tensor/token_memory.h"
#include "tensor/weight.h"

namespace linnet {

// An activation, or a parameter vector as one row. `g` is empty in inference and for what is
// frozen. Backward steps add to it. The gradient of an activation starts as uninitialized memory:
// the first step either overwrites it (TakeFirstWrite) or zero-fills it first (InitGradient).
struct Var {
  Mat<float> v, g;
  bool* uninitialized = nullptr;  // whether g is; null: never
  // The rows in the form of the only products that read them, if their op made it; v may then have
  // a shape but no values.
  Activations ready{};

  size_t rows() const { return v.rows; }
  size_t cols() const { return v.cols; }
  bool tracked() const { return !g.empty(); }

  // Whether g is uninitialized, and marks it initialized. If so, the caller must overwrite all of
  // g.
  bool TakeFirstWrite() const {
    return tracked() && uninitialized != nullptr && std::exchange(*uninitialized, false);
  }
  // Zero-fills g if it is uninitialized. Call it before g is read or added to.
  void InitGradient() const {
    if (!TakeFirstWrite()) return;
    for (size_t t = 0; t < g.rows; ++t) std::fill_n(g.Row(t), g.cols, 0.0f);
  }
};

struct LowRankDelta;

// A matrix parameter; its gradient is row-major [out, in], empty when frozen.
struct LinearParam {
  Weight w;
  Mat<float> g{};
  std::vector<const LowRankDelta*> deltas{};  // what adapters add to it; not owned
  // What AdapterDeltas know the matrix by; null: its data, which then stay where they are.
  const void* id = nullptr;

  const void* key() const { return id != nullptr ? id : w.data; }
};

// What an adapter adds to a matrix, whatever its format: y = W x + scale up (down x).
struct LowRankDelta {
  LinearParam down, up;  // [rank, in], [out, rank]
  float scale = 1;
};

// What an adapter of single sequences changes in a matrix: y = W (c x) and the deltas of c x, where
// c scales each input.
struct OwnChange {
  std::vector<const LowRankDelta*> deltas{};  // not owned
  const float* scales = nullptr;              // c [in], not owned; null: ones
};

// The changes of an adapter of single sequences, by LinearParam::key.
struct AdapterDeltas {
  std::unordered_map<const void*, OwnChange> of;

  // Null if it does not change the matrix.
  const OwnChange* Find(const LinearParam& w) const {
    const auto found = of.find(w.key());
    return found == of.end() ? nullptr : &found->second;
  }
};

// One layer's state, as views into a State.
// wkv: v4 aa, bb, pp, each [C]; v5 on S [heads, N keys, N values].
struct LayerState {
  std::span<float> att_shift, wkv, ffn_shift;  // [C], see above, [C]
  std::span<float> query_shift;                // of attention
};

// Where a layer's vectors are in the flat memory of a state: one after another from `begin` on.
struct LayerStrides {
  size_t begin = 0, att_shift = 0, wkv = 0, ffn_shift = 0, query_shift = 0;  // floats
  // The layer's first slots in PastTokens::kept and ::finished.
  size_t kept = 0, finished = 0;

  size_t floats() const { return att_shift + wkv + ffn_shift + query_shift; }
};

// Those of all layers, which may differ. The array must outlive it.
struct StateStrides {
  std::span<const LayerStrides> layers{};

  size_t floats() const {
    return layers.empty() ? 0 : layers.back().begin + layers.back().floats();
  }
  size_t wkv(size_t layer) const { return layers[layer].wkv; }
  LayerState Layer(float* state, size_t layer) const {
    const LayerStrides& s = layers[layer];
    float* p = state + s.begin;
    const auto next = [&p](size_t n) {
      const std::span<float> part(p, n);
      p += n;
      return part;
    };
    const auto att_shift = next(s.att_shift), wkv = next(s.wkv), ffn_shift = next(s.ffn_shift);
    return {att_shift, wkv, ffn_shift, next(s.query_shift)};
  }
};

class StateLog;  // ops/state_log.h

// Rows [begin, begin + len) of a pass with one state, one after another.
struct Segment {
  size_t begin = 0, len = 0;
  float* state = nullptr;  // updated to the state after the rows
  // In training, may be null: the gradient of the state after the rows, which the tape turns into
  // that of the state before. Of v4's aa, bb, pp the last has no gradient (kernels/wkv_back.h).
  float* state_grad = nullptr;
  // With attention, except in training: the rows of the tokens before and of these, whose slots
  // `kept` has already; `first` were there before the pass.
  PastTokens* past = nullptr;
  size_t first = 0;
  const AdapterDeltas* adapter = nullptr;  // of this sequence alone, after those of the matrices
  StateLog* log = nullptr;                 // gets what these rows do to the state
};

// Rows [begin, begin + len) are one training sequence of the batch: one segment, or several if it
// holds several documents.
struct TrainingSequence {
  size_t begin = 0, len = 0;
  uint64_t index = 0;  // in the whole batch
  size_t place = 0;    // of the first of these rows in the sequence, if this is a chunk of it
};

// The backward steps of a pass, in the order of the forward steps.
class Tape {
 public:
  void Push(std::function<void()> vjp) { steps_.push_back(std::move(vjp)); }
  void Backward() {
    for (size_t i = steps_.size(); i > 0; --i) steps_[i - 1]();
    steps_.clear();
  }

 private:
  std::vector<std::function<void()>> steps_;
};

class DeferredProducts;
class ProductPlans;

struct Pass {
  Arena& arena;
  ThreadPool& pool;
  std::span<const Segment> segments;
  StateStrides strides;
  bool exact = false;    // f32 activations in every product
  Tape* tape = nullptr;  // null in inference
  size_t layer = 0;
  // In training they cover the rows in order; if empty, all rows are one sequence. The gradient of
  // a parameter is summed over the rows of a sequence in order, then over sequences in halves
  // (ops/sum_tree.h).
  std::span<const TrainingSequence> sequences{};
  // In training: keep only each layer's input and recompute the layer for its gradient.
  bool recompute = false;
  DeferredProducts* deferred = nullptr;  // collects products to run in one loop
  ProductPlans* plans = nullptr;         // reused from pass to pass if they are alike
  // For blocks that read more than the residual stream, of the rows of this pass: the token ids,
  // and the embedding's rows after ln0, [rows, C].
  std::span<const int32_t> tokens{};
  Var embedding{};
  // Those of segments, each once. The products of matrices that they change must have the rows of
  // the segments.
  std::span<const AdapterDeltas* const> adapters{};
  float dropout = 0;          // the fraction of a residual branch's values that is dropped
  uint64_t dropout_seed = 0;  // of this step

  // [rows, cols], uninitialized; with a tape, so is its gradient.
  Var New(size_t rows, size_t cols);
  // Uninitialized rows in the form that a product reads.
  Activations ReadyRows(Activation form, size_t rows, size_t cols) const;
  // As New, for results that only products read: ready rows instead of values, unless the form is
  // kF32.
  Var NewFor(Activation form, size_t rows, size_t cols);
  float* Scratch(size_t floats) { return arena.New<float>(floats); }

  // Whether anything is added to the product of some rows with this matrix.
  bool Changes(const LinearParam& w) const {
    return !w.deltas.empty() ||
           std::any_of(adapters.begin(), adapters.end(),
                       [&](const AdapterDeltas* adapter) { return adapter->Find(w) != nullptr; });
  }

  LayerState StateOf(const Segment& s) const { return strides.Layer(s.state, layer); }

  // Calls body(row_begin, row_end), split over threads if `work` (about the number of floats read
  // and written) is large enough.
  template <class F>
  void ForRows(size_t rows, size_t work, const F& body) const {
    if (work < kParallelFloats) {
      body(size_t{0}, rows);
    } else {
      // More ranges than threads balance the load when other programs use the cores.
      const size_t ranges = work < kManyFloats ? pool.threads() : 4 * pool.threads();
      const size_t count = std::min(rows, ranges);
      pool.For(count, [&](size_t i) { body(rows * i / count, rows * (i + 1) / count); });
    }
  }
  // The same over columns, in whole cache lines: for sums over rows.
  template <class F>
  void ForColumns(size_t cols, size_t work, const F& body) const {
    if (work < kParallelFloats) {
      body(size_t{0}, cols);
    } else {
      pool.ForRanges(cols, 16, body);
    }
  }

  template <class F>
  void OnBackward(F&& vjp) {
    if (tape != nullptr) tape->Push(std::forward<F>(vjp));
  }

  static constexpr size_t kParallelFloats = 1 << 14, kManyFloats = 1 << 19;
};

}  // namespace linnet

#endif  // LINNET_OPS_PASS_H_
