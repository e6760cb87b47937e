// Softmax attention over rows of keys and values that lie in blocks of 64 tokens, f32 or f16.
//
// Keys are read in spans of kSpanTokens, counted from token 0. A span gives, per query and head,
// the largest score, the sum of exp(score - largest), and the values weighted by these; spans are
// merged in order. A sum over a key's values has one order, and so has a sum over the keys of a
// span. So the bits of a query's result depend on the query and on the rows that it sees, and not
// on the kernel, on other queries or on rows after it. No function keeps anything or allocates; all
// are thread-safe.
#ifndef LINNET_KERNELS_ATTENTION_H_
#define LINNET_KERNELS_ATTENTION_H_

#include <algorithm>
#include <cstddef>
#include <limits>

#include "tensor/mat.h"
#include "tensor/token_memory.h"

namespace linnet {

// score = scale q.k, or cap tanh(scale q.k / cap) if cap is not 0.
struct AttentionShape {
  size_t heads = 1;
  float scale = 1, cap = 0;
};

// The rows of up to kBlockTokens consecutive tokens, from a multiple of kBlockTokens on: kF32 or
// kF16, aligned to their type.
struct TokenRows {
  const std::byte* data = nullptr;
  size_t rows = 0, stride_bytes = 0;
  RowType type = RowType::kF32;
};

inline constexpr size_t kBlockTokens = TokenMemory::kPageTokens;
inline constexpr size_t kSpanTokens = 256, kSpanBlocks = kSpanTokens / kBlockTokens;
// The most queries of one call, forward and backward.
inline constexpr size_t kQueryGroup = 60, kBackQueries = 32;

constexpr size_t BlocksOf(size_t tokens) { return (tokens + kBlockTokens - 1) / kBlockTokens; }
constexpr size_t SpansOf(size_t tokens) { return (tokens + kSpanTokens - 1) / kSpanTokens; }

// One span: blocks of rows [tokens, heads * key_size] and [tokens, heads * value_size].
struct KeySpan {
  const TokenRows* keys = nullptr;
  const TokenRows* values = nullptr;
  size_t tokens = 0;  // at least 1, at most kSpanTokens; later rows are not read
  size_t key_size = 0, value_size = 0;
};

// Of one query and head: the largest score, and the sum of exp(score - top).
struct ScoreSums {
  float top = -std::numeric_limits<float>::infinity(), sum = 0;
};

// Floats of scratch that any of the functions below needs.
size_t AttentionScratch(size_t heads, size_t key_size, size_t value_size);

// One query [heads * key_size] over a span, all of whose tokens it sees, all heads: overwrites sums
// [heads] and weighted [heads * value_size]. Made for decoding: rows are read once and in order.
void AttendOne(const AttentionShape& shape, const KeySpan& span, const float* q, ScoreSums* sums,
               float* weighted, float* scratch) noexcept;

// Up to kQueryGroup consecutive queries of one head, q [queries, key_size], of which the first sees
// `seen` >= 1 tokens of the span and each other one token more than the one before it, up to
// span.tokens. The sums of query i are sums[i * shape.heads]. With `merge` they are merged with
// what is there, the spans before; otherwise overwritten.
void AttendGroup(const AttentionShape& shape, const KeySpan& span, size_t head, Mat<const float> q,
                 size_t seen, bool merge, ScoreSums* sums, Mat<float> weighted,
                 float* scratch) noexcept;

// Merges the sums of a later span [n] with those of the spans before.
void MergeSpan(const ScoreSums& more, const float* more_weighted, size_t n, ScoreSums& sums,
               float* weighted) noexcept;

// The gradients of some queries, or of some keys, of one head. `queries` rows from position `first`
// on see the keys up to their own position.
struct AttentionBack {
  AttentionShape shape;
  const TokenRows* keys = nullptr;  // all blocks from token 0 on, all heads
  const TokenRows* values = nullptr;
  size_t head = 0, key_size = 0, value_size = 0;
  size_t first = 0;
  Mat<const float> q, dy;           // [queries, key_size], [queries, value_size] of this head
  const ScoreSums* sums = nullptr;  // of all spans; of query i: [i * shape.heads]
  const float* dots = nullptr;      // y . dy; of query i: [i * shape.heads]
};

size_t AttentionBackScratch(size_t key_size, size_t value_size);

// Adds to dq the gradient of queries [begin, begin + count), count <= kBackQueries; dq is that of
// query `begin` on.
void AttentionBackQueries(const AttentionBack& in, size_t begin, size_t count, Mat<float> dq,
                          float* scratch) noexcept;

// Adds to dk and dv the gradient of tokens [begin, begin + count), which lie in one block, and none
// is before in.first. Either may be empty.
void AttentionBackKeys(const AttentionBack& in, size_t begin, size_t count, Mat<float> dk,
                       Mat<float> dv, float* scratch) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_ATTENTION_H_
