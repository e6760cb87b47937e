// The operations: forward, and with a tape a recorded vector-Jacobian product.
//
// All process rows independently, except Shift, Wkv* and Attention, which read the pass's segments.
// Every result is allocated in the pass's arena. Formulas and letters are those of the RWKV papers
// (arXiv:2305.13048, 2404.05892, 2503.14456). They throw only std::bad_alloc.
#ifndef LINNET_OPS_OPS_H_
#define LINNET_OPS_OPS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "ops/pass.h"
#include "tensor/token_memory.h"

namespace linnet {

// y[t] = W x[t], plus the products of w's deltas, in their order. The sum over inputs has one order
// for any number of rows (kernels/matmul.h). Backward: dx = dy W, dW = dy^T x.
Var Linear(Pass& p, Var x, const LinearParam& w);

// W a and W b. A parameter may be read by one op of a pass only: its gradient is summed within a
// sequence first, over the rows of both inputs here, so that passes may be divided anywhere.
std::array<Var, 2> LinearOfBoth(Pass& p, Var a, Var b, const LinearParam& w);

// d[t] = x[t-1] - x[t] within each segment. For its first row x[t-1] is in the state, which becomes
// the segment's last row.
enum class ShiftOf { kTimeMix, kChannelMix, kQuery };
std::span<float> ShiftRow(const LayerState& s, ShiftOf which);
Var Shift(Pass& p, Var x, ShiftOf which);

// One row repeated `rows` times without a copy; its gradient is the sum over them.
Var Broadcast(Var row, size_t rows);

// Each value of a row [n] repeated `times` times: [n * times]. A Broadcast row gives a Broadcast
// row.
Var Repeat(Pass& p, Var x, size_t times);

// Each row of a, then that of b: [T, a.cols + b.cols].
Var Concatenate(Pass& p, Var a, Var b);

// A view of columns [begin, begin + count).
Var Columns(Var x, size_t begin, size_t count);

// x + d * mu.
Var Lerp(Pass& p, Var x, Var d, Var mu);

// The weights [1, C] of a mix, and, if only products read the mix, their matrices: then the mix is
// made directly in the form of those products and has no f32 values.
struct MixFor {
  MixFor() = default;
  template <class... W>
  explicit MixFor(const Var& weights, const W&... w) : mu(weights), readers{&w...} {}
  Var mu;
  std::array<const LinearParam*, 2> readers{};  // null: any op may read it
};

// Lerp(x, Shift(x), mu) for several rows mu [1, C] that are parameters, fused, with the same bits.
// `mixes` has the size of `mu`, at most 6.
void ShiftedLerpsInto(Pass& p, Var x, ShiftOf which, std::span<const MixFor> mu,
                      std::span<Var> mixes);
template <class... Mu>
std::array<Var, sizeof...(Mu)> ShiftedLerps(Pass& p, Var x, ShiftOf which, const Mu&... mu) {
  const MixFor all[] = {MixFor(mu)...};
  std::array<Var, sizeof...(Mu)> mixes;
  ShiftedLerpsInto(p, x, which, all, mixes);
  return mixes;
}

Var Add(Pass& p, Var a, Var b);
Var Sub(Pass& p, Var a, Var b);
Var Mul(Pass& p, Var a, Var b);
Var Neg(Pass& p, Var x);
Var OneMinus(Pass& p, Var x);
Var Silu(Pass& p, Var x);
Var ExpNegExp(Pass& p, Var x);  // exp(-exp(x)): the decay of v5 and v6

// These overwrite an input, since a training pass is memory-bound. Nothing else may use that input.
// x + y, the residual stream: overwrites x without a tape, y with one. Neither may be a parameter.
Var AddResidualInPlace(Pass& p, Var x, Var y);
Var AddBiasInPlace(Pass& p, Var x, Var bias);  // x + bias [1, C] in each row
Var SigmoidInPlace(Pass& p, Var x);
Var TanhInPlace(Pass& p, Var x);
Var ReluSquaredInPlace(Pass& p, Var x);

// Linear with an epilogue, applied to each block of the product while it is in cache.
Var LinearSigmoid(Pass& p, Var x, const LinearParam& w, Var bias);  // sigmoid(W x + bias)
// exp(-e^(-1/2) sigmoid(W x + bias)): v7's decay, in (0.545, 1).
Var LinearWkv7Decay(Pass& p, Var x, const LinearParam& w, Var bias);
// relu(W x)²; only products with `reader` may read it.
Var LinearReluSquared(Pass& p, Var x, const LinearParam& w, const LinearParam& reader);

// For rows that go through parameters of their own. `rows` are ascending rows of the pass.
//
// The rows [i] = x[rows[i]] as a matrix.
Var TakeRows(Pass& p, Var x, std::span<const size_t> rows);
// x[rows[i]] += y[i], overwriting x.
Var AddToRowsInPlace(Pass& p, Var x, Var y, std::span<const size_t> rows);
// While it lives, every op must be given these rows only, in ascending order: gradients of
// parameters are summed over the pass's sequences, as with all rows, and the adapters of single
// sequences change the products of their rows. Without a tape only products may run.
class RowsScope {
 public:
  RowsScope(Pass& p, std::span<const size_t> rows);
  ~RowsScope();
  RowsScope(const RowsScope&) = delete;
  RowsScope& operator=(const RowsScope&) = delete;

 private:
  Pass& p_;
  std::shared_ptr<const std::vector<TrainingSequence>> some_;  // shared with the tape
  std::span<const Segment> all_segments_{};
  std::vector<Segment> segments_;  // of the rows
};

// Normalizes each of `groups` equal parts of a row to mean 0 and variance 1,
// then scales and shifts it. groups = 1 is LayerNorm.
Var Norm(Pass& p, Var x, size_t groups, Var gain, Var bias, float eps);

// Each head of a row divided by max(its Euclidean norm, 1e-12).
Var NormalizeHeads(Pass& p, Var x, size_t heads);

// Each row divided by its root mean square + 1e-8.
Var NormalizeRms(Pass& p, Var x);

// y[t] = x[t] M[t], where row t of m [T, n * n] is the matrix M[t] in row-major order, and x is
// [T, n].
Var TimesOwnMatrix(Pass& p, Var x, Var m);

// y + (sum over the head of r * k * u) v: v7's bonus term, after the norm.
Var AddBonus(Pass& p, Var y, Var r, Var k, Var v, Var u, size_t heads);

// Fused operations of RWKV-7, each with the bits of the plain operations in its formula.
//
// v + (first - v) share: the value residual; `first` is v of layer 0.
Var MixValueResidual(Pass& p, Var v, Var first, Var share);
struct Wkv7Keys {
  Var key;      // k (1 + (a - 1) k_a)
  Var remove;   // -kk, kk = NormalizeHeads(k k_k)
  Var replace;  // kk a
};
Wkv7Keys MakeWkv7Keys(Pass& p, Var k, Var a, Var k_k, Var k_a, size_t heads);
// AddBonus(Norm(y, heads, gain, bias, eps), r, k, v, u) gate; heads of at most 256 values. If only
// `reader` reads it, it is made directly in the form of that product.
struct GatedOutputInputs {
  Var y, r, k, v, u, gain, bias, gate;
};
Var GatedOutput(Pass& p, const GatedOutputInputs& in, size_t heads, float eps,
                const LinearParam* reader = nullptr);

// v4: a softmax over the past with decay, in the log domain; state aa, bb, pp. decay and u are [1,
// C]; each step multiplies the past by w = exp(-exp(decay)).
Var Wkv4(Pass& p, Var decay, Var u, Var k, Var v);

// v5, v6: S' = S diag(w) + v k^T; y = S r + (r . u k) v. w may be a Broadcast row. u is [1, C], or
// [1, heads] with one value per head; with log_u it is given as logarithms.
Var Wkv6(Pass& p, Var r, Var w, Var k, Var v, Var u, size_t heads, bool log_u = false);

// v7: S' = S diag(w) + S a b^T + v k^T; y = S' r.
Var Wkv7(Pass& p, Var r, Var w, Var k, Var v, Var a, Var b, size_t heads);

// What a segment remembers of its tokens: its own rows and those before are rows of `memory`, in
// slots of type f32 or f16 that are as wide as k and v. Token `first` is the segment's first; the
// caller has appended its tokens. No other thread uses the memory meanwhile.
struct PastRows {
  TokenMemory* memory = nullptr;
  size_t first = 0, key_slot = 0, value_slot = 0;
};

// Writes a row of floats, as wide as the slot, in the slot's type, f32 or f16.
void StoreRow(const float* row, TokenMemory& memory, size_t slot, size_t token);

// Causal attention within each segment: y[t] = sum over j <= t of softmax_j(score(q[t], k[j]))
// v[j], per head; q and k [T, heads * N], v and y [T, heads * M], the score as in AttentionShape.
// With `past`, one per segment, k and v are first stored in the memory, and all rows are read from
// there; those of earlier tokens are constants. The memory's pages must last until the backward is
// done.
Var Attention(Pass& p, Var q, Var k, Var v, const AttentionShape& shape,
              std::span<const PastRows> past = {});

}  // namespace linnet

#endif  // LINNET_OPS_OPS_H_
