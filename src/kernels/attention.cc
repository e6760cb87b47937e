#include "kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <utility>

#include "hwy/highway.h"
#include "kernels/attention-inl.h"
#include "kernels/math-inl.h"
#include "kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Turns the products of a query with the first n keys of a span into exp(score - top), followed by
// 0 up to a whole vector.
ScoreSums ToWeights(const ScoreOf& score, size_t n, float* x) {
  const Floats d;
  const auto lowest = hn::Set(d, ScoreSums().top);
  auto top = lowest;
  for (size_t i = 0; i < n; i += kFloatLanes) {
    auto s = score(d, hn::LoadU(d, x + i));
    if (i + kFloatLanes > n) s = hn::IfThenElse(hn::FirstN(d, n - i), s, lowest);
    top = hn::IfThenElse(hn::Gt(s, top), s, top);
    hn::StoreU(s, d, x + i);
  }
  ScoreSums sums;
  sums.top = hn::GetLane(hn::MaxOfLanes(d, top));
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < n; i += kFloatLanes) {
    const auto weight = ExpOf(d, hn::Sub(hn::LoadU(d, x + i), hn::Set(d, sums.top)));
    sum = hn::Add(sum, weight);
    hn::StoreU(weight, d, x + i);
  }
  sums.sum = FoldInHalves(d, sum);
  return sums;
}

float ExpOne(float x) {
  const Floats d;
  return hn::GetLane(ExpOf(d, hn::Set(d, x)));
}

struct MergeOf {
  float before, after;
  const float* more;
  float* to;
  template <class D>
  HWY_INLINE void operator()(D d, size_t i) const {
    const auto kept = hn::Mul(hn::LoadU(d, to + i), hn::Set(d, before));
    hn::StoreU(hn::MulAdd(hn::LoadU(d, more + i), hn::Set(d, after), kept), d, to + i);
  }
};

void Merge(const ScoreSums& more, const float* more_weighted, size_t n, ScoreSums& sums,
           float* weighted) {
  const float top = more.top > sums.top ? more.top : sums.top;
  const float before = ExpOne(sums.top - top), after = ExpOne(more.top - top);
  sums = {top, sums.sum * before + more.sum * after};
  ForLanes(n, MergeOf{before, after, more_weighted, weighted});
}

// The kernel of one query.

// What to prefetch while the rows of some blocks are read: the same rows, kBytesAhead later.
// Hardware prefetchers stop at each page and know nothing of the next block.
class Ahead {
 public:
  Ahead(const KeySpan& span, size_t heads)
      : span_(span), heads_(heads), blocks_(BlocksOf(span.tokens)) {
    constexpr size_t kBytesAhead = 16384, kStep = 256;
    for (size_t i = 0; i < kBytesAhead; i += kStep) PrefetchBytes<kStep>(Take(kStep));
  }

  // The next bytes to prefetch; after the last block some that are cached.
  const std::byte* Take(size_t bytes) {
    if (at_ >= end_) {
      if (next_ == 2 * blocks_) return span_.keys[0].data;
      Start();
    }
    return std::exchange(at_, at_ + bytes);
  }

 private:
  // Goes to the next block: keys, then values.
  void Start() {
    const bool is_key = next_ < blocks_;
    const TokenRows& rows = is_key ? span_.keys[next_] : span_.values[next_ - blocks_];
    const size_t width = heads_ * (is_key ? span_.key_size : span_.value_size);
    at_ = rows.data;
    end_ = at_ + (rows.rows - 1) * rows.stride_bytes + width * BytesOf(rows.type);
    ++next_;
  }

  const KeySpan& span_;
  size_t heads_, blocks_, next_ = 0;
  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
};

template <class T>
void ProductsOfOne(const TokenRows& keys, size_t rows, const float* q, size_t heads, size_t n,
                   Ahead& ahead, float* to) {
  const auto row = [&](size_t j) {
    return reinterpret_cast<const T*>(keys.data + std::min(j, rows - 1) * keys.stride_bytes);
  };
  for (size_t j = 0; j < rows; j += 4) {
    const T* const four[4] = {row(j), row(j + 1), row(j + 2), row(j + 3)};
    for (size_t h = 0; h < heads; ++h) {
      const T* const head[4] = {four[0] + h * n, four[1] + h * n, four[2] + h * n, four[3] + h * n};
      DotFour(q + h * n, head, n, ahead.Take(4 * n * sizeof(T)), to + h * kSpanTokens + j);
    }
  }
}

// Adds rows of values [rows, n], each times its weight, to `to`; prefetches like DotFour.
template <class T, size_t kVectors>
HWY_INLINE void AddWeighted(const T* HWY_RESTRICT values, size_t stride, size_t rows,
                            const float* HWY_RESTRICT weights, const std::byte* ahead,
                            float* HWY_RESTRICT to) {
  constexpr size_t kRowBytes = kVectors * kFloatLanes * sizeof(T);
  const Floats d;
  hn::Vec<Floats> sum[kVectors];
  HWY_UNROLL(8)
  for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::LoadU(d, to + v * kFloatLanes);
  for (size_t j = 0; j < rows; ++j) {
    PrefetchBytes<kRowBytes>(ahead + j * kRowBytes);
    const auto weight = hn::Set(d, weights[j]);
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      sum[v] = hn::MulAdd(weight, LoadValues(values + j * stride + v * kFloatLanes), sum[v]);
    }
  }
  HWY_UNROLL(8)
  for (size_t v = 0; v < kVectors; ++v) hn::StoreU(sum[v], d, to + v * kFloatLanes);
}

// The rest of a row, less than a vector.
template <class T>
void AddLastWeighted(const T* values, size_t stride, size_t rows, const float* weights,
                     size_t count, float* to) {
  const Floats d;
  auto sum = LoadPartial(d, to, count, 0.0f);
  for (size_t j = 0; j < rows; ++j) {
    sum = hn::MulAdd(hn::Set(d, weights[j]), LoadFirstValues(values + j * stride, count), sum);
  }
  StorePartial(sum, d, to, count);
}

// Rows that are read together: as many streams as hardware prefetchers follow.
constexpr size_t kRowsTogether = 8;

template <class T>
void ValuesOfOne(const TokenRows& rows, size_t count, const float* weights, size_t heads, size_t n,
                 Ahead& ahead, float* to) {
  constexpr size_t kVectors = 4;
  const size_t stride = rows.stride_bytes / sizeof(T);
  for (size_t j = 0; j < count; j += kRowsTogether) {
    const size_t together = std::min(kRowsTogether, count - j);
    for (size_t h = 0; h < heads; ++h) {
      const T* from = reinterpret_cast<const T*>(rows.data) + j * stride + h * n;
      const float* w = weights + h * kSpanTokens + j;
      float* y = to + h * n;
      size_t c = 0;
      for (; c + kVectors * kFloatLanes <= n; c += kVectors * kFloatLanes) {
        AddWeighted<T, kVectors>(from + c, stride, together, w,
                                 ahead.Take(together * kVectors * kFloatLanes * sizeof(T)), y + c);
      }
      for (; c + kFloatLanes <= n; c += kFloatLanes) {
        AddWeighted<T, 1>(from + c, stride, together, w,
                          ahead.Take(together * kFloatLanes * sizeof(T)), y + c);
      }
      if (c < n) AddLastWeighted(from + c, stride, together, w, n - c, y + c);
    }
  }
}

void One(const AttentionShape& shape, const KeySpan& span, const float* q, ScoreSums* sums,
         float* weighted, float* scratch) {
  const size_t heads = shape.heads;
  Ahead ahead(span, heads);
  for (size_t at = 0; at < span.tokens; at += kBlockTokens) {
    const TokenRows& keys = span.keys[at / kBlockTokens];
    const size_t rows = std::min(kBlockTokens, span.tokens - at);
    const auto products =
        keys.type == RowType::kF16 ? ProductsOfOne<uint16_t> : ProductsOfOne<float>;
    products(keys, rows, q, heads, span.key_size, ahead, scratch + at);
  }
  const ScoreOf score(shape);
  for (size_t h = 0; h < heads; ++h) {
    sums[h] = ToWeights(score, span.tokens, scratch + h * kSpanTokens);
  }
  std::fill_n(weighted, heads * span.value_size, 0.0f);
  for (size_t at = 0; at < span.tokens; at += kBlockTokens) {
    const TokenRows& values = span.values[at / kBlockTokens];
    const size_t rows = std::min(kBlockTokens, span.tokens - at);
    const auto add = values.type == RowType::kF16 ? ValuesOfOne<uint16_t> : ValuesOfOne<float>;
    add(values, rows, scratch + at, heads, span.value_size, ahead, weighted);
  }
}

// The kernel of a group of queries.

struct Group {
  const KeySpan& span;
  size_t head, queries, seen;
  float* q;         // [queries, padded key size]
  float* weights;   // [queries, kSpanTokens]
  float* rows;      // four keys, or some columns of a block of values
  float* weighted;  // [queries, padded value size]

  size_t SeenBy(size_t query) const { return std::min(seen + query, span.tokens); }
};

void ProductsOfGroup(const Group& g) {
  const size_t n = g.span.key_size, stride = PaddedFloats(n), most = g.SeenBy(g.queries - 1);
  for (size_t t = 0; t < most; t += 4) {
    const TokenRows& keys = g.span.keys[t / kBlockTokens];
    const size_t count = std::min(size_t{4}, most - t);
    CopyRows(keys, t % kBlockTokens, count, g.head * n, n, g.rows, stride);
    // Products with the row of another token are not used.
    for (size_t i = count; i < 4; ++i) std::copy_n(g.rows, stride, g.rows + i * stride);
    const size_t from =
        t < g.seen ? 0 : t + 1 - g.seen;  // the first query that sees a key of these
    DotRows(g.q + from * stride, stride, g.queries - from, g.rows, stride, n,
            g.weights + from * kSpanTokens + t, kSpanTokens);
  }
}

// Adds the values of one block, in `columns` copied to g.rows.
void AddBlock(const Group& g, size_t at, size_t vectors, float* to, size_t stride) {
  constexpr size_t kWidth = kSumVectors * kFloatLanes;
  const auto seen = [&](size_t query) {
    const size_t n = g.SeenBy(query);
    return n <= at ? 0 : std::min(n - at, kBlockTokens);
  };
  size_t i = 0;
  const auto weights = [&](size_t query, size_t term) {
    return SumWeights{g.weights + query * kSpanTokens + at + term, kSpanTokens, 1};
  };
  for (; i + kSumRows <= g.queries; i += kSumRows) {
    const size_t common = seen(i);
    SumColumns<kSumRows>(weights(i, 0), common, g.rows, kWidth, vectors, to + i * stride, stride);
    for (size_t r = i + 1; r < i + kSumRows; ++r) {
      if (seen(r) == common) continue;
      SumColumns<1>(weights(r, common), seen(r) - common, g.rows + common * kWidth, kWidth, vectors,
                    to + r * stride, stride);
    }
  }
  for (; i < g.queries; ++i) {
    SumColumns<1>(weights(i, 0), seen(i), g.rows, kWidth, vectors, to + i * stride, stride);
  }
}

void ValuesOfGroup(const Group& g) {
  constexpr size_t kWidth = kSumVectors * kFloatLanes;
  const size_t n = g.span.value_size, stride = PaddedFloats(n), most = g.SeenBy(g.queries - 1);
  std::fill_n(g.weighted, g.queries * stride, 0.0f);
  for (size_t at = 0; at < most; at += kBlockTokens) {
    const TokenRows& values = g.span.values[at / kBlockTokens];
    const size_t rows = std::min(kBlockTokens, most - at);
    for (size_t c = 0; c < n; c += kWidth) {
      const size_t columns = std::min(kWidth, n - c);
      CopyRows(values, 0, rows, g.head * n + c, columns, g.rows, kWidth);
      AddBlock(g, at, (columns + kFloatLanes - 1) / kFloatLanes, g.weighted + c, stride);
    }
  }
}

void AttendQueries(const AttentionShape& shape, const KeySpan& span, size_t head,
                   const Mat<const float>& q, size_t seen, bool merge, ScoreSums* sums,
                   const Mat<float>& weighted, float* scratch) {
  const size_t key_stride = PaddedFloats(span.key_size);
  const size_t value_stride = PaddedFloats(span.value_size);
  Group g{span, head, q.rows, seen, scratch, nullptr, nullptr, nullptr};
  g.weights = g.q + kQueryGroup * key_stride;
  g.weighted = g.weights + kQueryGroup * kSpanTokens;
  g.rows = g.weighted + kQueryGroup * value_stride;
  for (size_t i = 0; i < q.rows; ++i) CopyPadded(q.Row(i), span.key_size, g.q + i * key_stride);
  ProductsOfGroup(g);
  ScoreSums own[kQueryGroup];
  const ScoreOf score(shape);
  for (size_t i = 0; i < q.rows; ++i) {
    own[i] = ToWeights(score, g.SeenBy(i), g.weights + i * kSpanTokens);
  }
  ValuesOfGroup(g);
  for (size_t i = 0; i < q.rows; ++i) {
    const float* from = g.weighted + i * value_stride;
    if (merge) {
      Merge(own[i], from, span.value_size, sums[i * shape.heads], weighted.Row(i));
    } else {
      sums[i * shape.heads] = own[i];
      std::copy_n(from, span.value_size, weighted.Row(i));
    }
  }
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(One);
HWY_EXPORT(AttendQueries);
HWY_EXPORT(Merge);

size_t AttentionScratch(size_t heads, size_t key_size, size_t value_size) {
  // Padded as in attention-inl.h, for vectors of at most 16 floats.
  const auto padded = [](size_t n) { return (n + 15) / 16 * 16; };
  const size_t rows = std::max(4 * padded(key_size), kBlockTokens * 64);
  const size_t group = kQueryGroup * (padded(key_size) + kSpanTokens + padded(value_size)) + rows;
  return std::max(group, heads * kSpanTokens);
}

void AttendOne(const AttentionShape& shape, const KeySpan& span, const float* q, ScoreSums* sums,
               float* weighted, float* scratch) noexcept {
  HWY_DYNAMIC_DISPATCH(One)(shape, span, q, sums, weighted, scratch);
}

void AttendGroup(const AttentionShape& shape, const KeySpan& span, size_t head, Mat<const float> q,
                 size_t seen, bool merge, ScoreSums* sums, Mat<float> weighted,
                 float* scratch) noexcept {
  HWY_DYNAMIC_DISPATCH(AttendQueries)
  (shape, span, head, q, seen, merge, sums, weighted, scratch);
}

void MergeSpan(const ScoreSums& more, const float* more_weighted, size_t n, ScoreSums& sums,
               float* weighted) noexcept {
  HWY_DYNAMIC_DISPATCH(Merge)(more, more_weighted, n, sums, weighted);
}

}  // namespace linnet
#endif  // HWY_ONCE
