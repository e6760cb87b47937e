#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_back.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>

#include "hwy/highway.h"
#include "kernels/attention-inl.h"
#include "kernels/attention.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Some queries times the keys of one block.
struct Tile {
  size_t key_stride, value_stride;  // floats
  float* q;                         // [kBackQueries, key_stride]
  float* dy;                        // [kBackQueries, value_stride]
  float* k;                         // [kBlockTokens, key_stride]
  float* v;                         // [kBlockTokens, value_stride]
  float* weights;                   // [kBackQueries, kBlockTokens], of the softmax
  float* slopes;                    // the same shape: gradients of the products q.k
  float* sums;                      // what the function accumulates

  Tile(const AttentionBack& in, float* scratch)
      : key_stride(PaddedFloats(in.key_size)), value_stride(PaddedFloats(in.value_size)) {
    q = scratch;
    dy = q + kBackQueries * key_stride;
    k = dy + kBackQueries * value_stride;
    v = k + kBlockTokens * key_stride;
    weights = v + kBlockTokens * value_stride;
    slopes = weights + kBackQueries * kBlockTokens;
    sums = slopes + kBackQueries * kBlockTokens;
  }
};

void LoadQueries(const AttentionBack& in, size_t begin, size_t count, const Tile& t) {
  for (size_t i = 0; i < count; ++i) {
    CopyPadded(in.q.Row(begin + i), in.key_size, t.q + i * t.key_stride);
    CopyPadded(in.dy.Row(begin + i), in.value_size, t.dy + i * t.value_stride);
  }
}

void LoadBlock(const AttentionBack& in, size_t block, size_t rows, const Tile& t) {
  const TokenRows &keys = in.keys[block], &values = in.values[block];
  CopyRows(keys, 0, rows, in.head * in.key_size, in.key_size, t.k, t.key_stride);
  CopyRows(values, 0, rows, in.head * in.value_size, in.value_size, t.v, t.value_stride);
  // Products are made of four keys at a time.
  for (size_t j = rows; j % 4 != 0; ++j) {
    std::fill_n(t.k + j * t.key_stride, t.key_stride, 0.0f);
    std::fill_n(t.v + j * t.value_stride, t.value_stride, 0.0f);
  }
}

// weights and slopes of queries [begin, begin + count) and the first `rows` tokens of a block that
// starts at `token`; 0 for tokens that a query does not see.
void FillTile(const AttentionBack& in, size_t begin, size_t count, size_t token, size_t rows,
              const Tile& t) {
  const Floats d;
  const ScoreOf score(in.shape);
  for (size_t j = 0; j < rows; j += 4) {
    DotRows(t.q, t.key_stride, count, t.k + j * t.key_stride, t.key_stride, in.key_size,
            t.weights + j, kBlockTokens);
    DotRows(t.dy, t.value_stride, count, t.v + j * t.value_stride, t.value_stride, in.value_size,
            t.slopes + j, kBlockTokens);
  }
  const auto one = hn::Set(d, 1.0f), zero = hn::Zero(d);
  for (size_t i = 0; i < count; ++i) {
    const ScoreSums& of = in.sums[(begin + i) * in.shape.heads];
    const auto top = hn::Set(d, of.top), inverse = hn::Set(d, 1 / of.sum);
    const auto dot = hn::Set(d, in.dots[(begin + i) * in.shape.heads]);
    const size_t position = in.first + begin + i + 1;
    const size_t seen = position <= token ? 0 : std::min(position - token, rows);
    float *w = t.weights + i * kBlockTokens, *slopes = t.slopes + i * kBlockTokens;
    for (size_t j = 0; j < rows; j += kFloatLanes) {
      const auto sees = hn::FirstN(d, seen - std::min(seen, j));
      const auto s = score(d, hn::LoadU(d, w + j));
      const auto weight = hn::IfThenElse(sees, hn::Mul(ExpOf(d, hn::Sub(s, top)), inverse), zero);
      auto slope = hn::Mul(weight, hn::Sub(hn::LoadU(d, slopes + j), dot));
      if (in.shape.cap != 0) {
        const auto tanh = hn::Mul(s, hn::Set(d, score.inverse_cap));
        slope = hn::Mul(slope, hn::NegMulAdd(tanh, tanh, one));
      }
      slope = hn::Mul(slope, hn::Set(d, in.shape.scale));
      hn::StoreU(weight, d, w + j);
      hn::StoreU(hn::IfThenElse(sees, slope, zero), d, slopes + j);
    }
  }
}

void AddTo(const float* from, size_t stride, const Mat<float>& to) {
  for (size_t i = 0; i < to.rows; ++i) {
    for (size_t c = 0; c < to.cols; ++c) to.Row(i)[c] += from[i * stride + c];
  }
}

void BackQueries(const AttentionBack& in, size_t begin, size_t count, const Mat<float>& dq,
                 float* scratch) {
  const Tile t(in, scratch);
  LoadQueries(in, begin, count, t);
  std::fill_n(t.sums, count * t.key_stride, 0.0f);
  const size_t tokens = in.first + begin + count;  // that the last query sees
  for (size_t token = 0; token < tokens; token += kBlockTokens) {
    const size_t rows = std::min(kBlockTokens, tokens - token);
    LoadBlock(in, token / kBlockTokens, rows, t);
    FillTile(in, begin, count, token, rows, t);
    SumRowsOf({t.slopes, kBlockTokens, 1}, count, rows, t.k, t.key_stride, t.key_stride, t.sums,
              t.key_stride);
  }
  AddTo(t.sums, t.key_stride, dq);
}

void BackKeys(const AttentionBack& in, size_t begin, size_t count, const Mat<float>& dk,
              const Mat<float>& dv, float* scratch) {
  const Tile t(in, scratch);
  const size_t token = begin / kBlockTokens * kBlockTokens, rows = begin + count - token;
  float* key_sums = t.sums;  // of the whole block
  float* value_sums = t.sums + kBlockTokens * t.key_stride;
  std::fill_n(key_sums, rows * t.key_stride, 0.0f);
  std::fill_n(value_sums, rows * t.value_stride, 0.0f);
  LoadBlock(in, token / kBlockTokens, rows, t);
  // Groups of queries are counted from the first that sees a key.
  for (size_t i = begin - in.first; i < in.q.rows; i += kBackQueries) {
    const size_t queries = std::min(kBackQueries, in.q.rows - i);
    LoadQueries(in, i, queries, t);
    FillTile(in, i, queries, token, rows, t);
    if (!dk.empty()) {
      SumRowsOf({t.slopes, 1, kBlockTokens}, rows, queries, t.q, t.key_stride, t.key_stride,
                key_sums, t.key_stride);
    }
    if (!dv.empty()) {
      SumRowsOf({t.weights, 1, kBlockTokens}, rows, queries, t.dy, t.value_stride, t.value_stride,
                value_sums, t.value_stride);
    }
  }
  const size_t skip = begin - token;
  if (!dk.empty()) AddTo(key_sums + skip * t.key_stride, t.key_stride, dk);
  if (!dv.empty()) AddTo(value_sums + skip * t.value_stride, t.value_stride, dv);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(BackQueries);
HWY_EXPORT(BackKeys);

size_t AttentionBackScratch(size_t key_size, size_t value_size) {
  const auto padded = [](size_t n) { return (n + 15) / 16 * 16; };  // as in attention-inl.h
  return (kBackQueries + 2 * kBlockTokens) * (padded(key_size) + padded(value_size)) +
         2 * kBackQueries * kBlockTokens;
}

void AttentionBackQueries(const AttentionBack& in, size_t begin, size_t count, Mat<float> dq,
                          float* scratch) noexcept {
  HWY_DYNAMIC_DISPATCH(BackQueries)(in, begin, count, dq, scratch);
}

void AttentionBackKeys(const AttentionBack& in, size_t begin, size_t count, Mat<float> dk,
                       Mat<float> dv, float* scratch) noexcept {
  HWY_DYNAMIC_DISPATCH(BackKeys)(in, begin, count, dk, dv, scratch);
}

}  // namespace linnet
#endif  // HWY_ONCE
