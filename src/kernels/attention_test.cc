#include "kernels/attention.h"

#include <cmath>
#include <limits>

#include "kernels/convert.h"
#include "kernels/each_isa.h"

namespace linnet {
namespace {

struct AttentionCase {
  size_t heads, key_size, value_size, tokens;
  float cap;
};

const AttentionCase kAttentionCases[] = {{1, 256, 768, 300, 64.0f}, {3, 64, 64, 600, 0.0f},
                                         {2, 5, 7, 70, 0.0f},       {1, 33, 100, 257, 8.0f},
                                         {4, 16, 8, 1, 0.0f},       {1, 1, 1, 513, 2.0f}};

// Rows in blocks, as f32 or f16.
class BlockedRows {
 public:
  BlockedRows(std::vector<float> values, size_t width, RowType type)
      : values_(std::move(values)), halves_(values_.size()) {
    F32ToF16Row(values_.data(), values_.size(), halves_.data());
    F16ToF32Row(halves_.data(), halves_.size(), values_.data());
    const size_t tokens = values_.size() / width;
    for (size_t t = 0; t < tokens; t += kBlockTokens) {
      const auto* data = type == RowType::kF16
                             ? reinterpret_cast<const std::byte*>(halves_.data() + t * width)
                             : reinterpret_cast<const std::byte*>(values_.data() + t * width);
      blocks_.push_back({data, std::min(kBlockTokens, tokens - t), width * BytesOf(type), type});
    }
  }
  BlockedRows(const BlockedRows&) = delete;
  BlockedRows& operator=(const BlockedRows&) = delete;

  const TokenRows* blocks() const { return blocks_.data(); }
  std::vector<float>& values() { return values_; }  // f16 values in f32

 private:
  std::vector<float> values_;
  std::vector<uint16_t> halves_;
  std::vector<TokenRows> blocks_;
};

class AttentionTest : public EachIsa {
 protected:
  struct Result {
    std::vector<float> y;  // [rows, heads * value_size], of the sums not yet divided
    std::vector<float> tops, sums;
  };

  static KeySpan SpanAt(const AttentionCase& c, const BlockedRows& k, const BlockedRows& v,
                        size_t span, size_t tokens) {
    return {k.blocks() + span * kSpanBlocks, v.blocks() + span * kSpanBlocks,
            std::min(kSpanTokens, tokens - span * kSpanTokens), c.key_size, c.value_size};
  }

  static Result Take(std::vector<float> y, const std::vector<ScoreSums>& sums) {
    Result r{std::move(y), {}, {}};
    for (const ScoreSums& s : sums) {
      r.tops.push_back(s.top);
      r.sums.push_back(s.sum);
    }
    return r;
  }

  // All queries one by one.
  static Result ByOne(const AttentionCase& c, const AttentionShape& shape,
                      const std::vector<float>& q, const BlockedRows& k, const BlockedRows& v) {
    const size_t m = c.value_size, width = c.heads * m;
    std::vector<float> y(c.tokens * width), more(width);
    std::vector<ScoreSums> sums(c.tokens * c.heads), more_sums(c.heads);
    std::vector<float> scratch(AttentionScratch(c.heads, c.key_size, m));
    for (size_t t = 0; t < c.tokens; ++t) {
      const float* query = q.data() + t * c.heads * c.key_size;
      for (size_t span = 0; span < SpansOf(t + 1); ++span) {
        const KeySpan at = SpanAt(c, k, v, span, t + 1);
        if (span == 0) {
          AttendOne(shape, at, query, &sums[t * c.heads], &y[t * width], scratch.data());
          continue;
        }
        AttendOne(shape, at, query, more_sums.data(), more.data(), scratch.data());
        for (size_t h = 0; h < c.heads; ++h) {
          MergeSpan(more_sums[h], more.data() + h * m, m, sums[t * c.heads + h],
                    &y[t * width + h * m]);
        }
      }
    }
    return Take(std::move(y), sums);
  }

  // In groups of `group`.
  static Result ByGroup(const AttentionCase& c, const AttentionShape& shape,
                        const std::vector<float>& q, const BlockedRows& k, const BlockedRows& v,
                        size_t group) {
    const size_t n = c.key_size, m = c.value_size, width = c.heads * m;
    std::vector<float> y(c.tokens * width);
    std::vector<ScoreSums> sums(c.tokens * c.heads);
    std::vector<float> scratch(AttentionScratch(c.heads, n, m),
                               std::numeric_limits<float>::quiet_NaN());
    const Mat<const float> queries{q.data(), c.tokens, c.heads * n, c.heads * n};
    const Mat<float> to{y.data(), c.tokens, width, width};
    for (size_t t = 0; t < c.tokens; t += group) {
      const size_t end = std::min(c.tokens, t + group);
      for (size_t span = 0; span < SpansOf(end); ++span) {
        const size_t begin = std::max(t, span * kSpanTokens), rows = end - begin;
        for (size_t h = 0; h < c.heads; ++h) {
          AttendGroup(
              shape, SpanAt(c, k, v, span, end), h, queries.Rows(begin, rows).Columns(h * n, n),
              std::min(begin + 1 - span * kSpanTokens, kSpanTokens), span > 0,
              &sums[begin * c.heads + h], to.Rows(begin, rows).Columns(h * m, m), scratch.data());
        }
      }
    }
    return Take(std::move(y), sums);
  }

  static void ExpectSame(const Result& a, const Result& b) {
    EXPECT_TRUE(BitEqual(a.y, b.y));
    EXPECT_TRUE(BitEqual(a.tops, b.tops));
    EXPECT_TRUE(BitEqual(a.sums, b.sums));
  }
};

double ScoreInDouble(const AttentionShape& shape, const float* q, const float* k, size_t n) {
  double product = 0;
  for (size_t i = 0; i < n; ++i) product += double{q[i]} * k[i];
  product *= shape.scale;
  return shape.cap == 0 ? product : shape.cap * std::tanh(product / shape.cap);
}

TEST_P(AttentionTest, IsTheSoftmaxInDoubleAndTheSameForAnyKernelGroupAndRowType) {
  for (const AttentionCase& c : kAttentionCases) {
    const AttentionShape shape{c.heads, 1 / std::sqrt(float(c.key_size)), c.cap};
    const size_t n = c.key_size, m = c.value_size;
    const auto q = Normal(c.tokens * c.heads * n, 2.0f);
    const auto keys = Normal(c.tokens * c.heads * n), values = Normal(c.tokens * c.heads * m);
    BlockedRows k(keys, c.heads * n, RowType::kF32), v(values, c.heads * m, RowType::kF32);
    const Result one = ByOne(c, shape, q, k, v);
    for (size_t t = 0; t < c.tokens; ++t) {
      for (size_t h = 0; h < c.heads; ++h) {
        std::vector<double> y(m);
        double sum = 0;
        for (size_t j = 0; j <= t; ++j) {
          const double weight = std::exp(ScoreInDouble(shape, &q[(t * c.heads + h) * n],
                                                       &k.values()[(j * c.heads + h) * n], n));
          sum += weight;
          for (size_t i = 0; i < m; ++i) y[i] += weight * v.values()[(j * c.heads + h) * m + i];
        }
        const size_t at = t * c.heads + h;
        for (size_t i = 0; i < m; ++i) {
          ASSERT_NEAR(one.y[at * m + i] / one.sums[at], y[i] / sum, 3e-5) << t << " " << h;
        }
        ASSERT_NEAR(std::log(one.sums[at]) + one.tops[at], std::log(sum), 1e-4);
      }
    }
    for (const size_t group : {1, 2, 5, 31, 60}) {
      ExpectSame(one, ByGroup(c, shape, q, k, v, group));
    }
    const BlockedRows k16(keys, c.heads * n, RowType::kF16);
    const BlockedRows v16(values, c.heads * m, RowType::kF16);
    ExpectSame(one, ByOne(c, shape, q, k16, v16));
    ExpectSame(one, ByGroup(c, shape, q, k16, v16, 60));
  }
}

TEST_P(AttentionTest, RowsThatAQueryDoesNotSeeDoNotCount) {
  const AttentionCase c{2, 20, 24, 330, 0};
  const AttentionShape shape{2, 0.3f, 0};
  const auto q = Normal(c.tokens * 40), keys = Normal(c.tokens * 40);
  const auto values = Normal(c.tokens * 48);
  BlockedRows k(keys, 40, RowType::kF32), v(values, 48, RowType::kF32);
  const Result expected = ByGroup(c, shape, q, k, v, 60);
  for (const size_t from : {size_t{290}, size_t{64}, size_t{10}}) {
    std::fill(k.values().begin() + from * 40, k.values().end(), NAN);
    std::fill(v.values().begin() + from * 48, v.values().end(), NAN);
    const Result y = ByGroup(c, shape, q, k, v, 60);
    EXPECT_EQ(std::memcmp(y.y.data(), expected.y.data(), from * 48 * sizeof(float)), 0) << from;
  }
}

TEST_P(AttentionTest, ExtremeScoresGiveNoNaN) {
  const AttentionCase c{1, 8, 8, 400, 0};
  const AttentionShape shape{1, 1.0f, 0};
  for (const float scale : {1e4f, -1e4f, 1e18f, 0.0f}) {
    auto q = Normal(c.tokens * 8);
    for (float& x : q) x *= scale;
    BlockedRows k(Normal(c.tokens * 8), 8, RowType::kF32),
        v(Normal(c.tokens * 8), 8, RowType::kF32);
    const Result one = ByOne(c, shape, q, k, v);
    for (size_t i = 0; i < one.y.size(); ++i) {
      ASSERT_TRUE(std::isfinite(one.y[i])) << scale;
      ASSERT_GE(one.sums[i / 8], 1.0f);
    }
    ExpectSame(one, ByGroup(c, shape, q, k, v, 60));
  }
}
LINNET_EACH_ISA(AttentionTest);

}  // namespace
}  // namespace linnet
