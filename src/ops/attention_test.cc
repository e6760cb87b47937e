// Attention gives a token the same bits in any chunks, batch and number of threads, from its own
// rows or a memory; its gradients are those of the formula.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "ops/ops.h"

namespace linnet {
namespace {

constexpr size_t kAttentionHeads = 2, kKeys = 20, kValues = 24;  // of a head
constexpr size_t kKeyCols = kAttentionHeads * kKeys, kValueCols = kAttentionHeads * kValues;
constexpr AttentionShape kCapped{kAttentionHeads, 0.25f, 4.0f};
constexpr AttentionShape kPlain{kAttentionHeads, 0.25f, 0.0f};

using Rows = std::vector<float>;

TokenMemory NewMemory(RowType type) {
  return TokenMemory(std::make_shared<RowLayout>(
      std::vector<RowSlot>{{"k", kKeyCols, type}, {"v", kValueCols, type}}));
}

// The rows of one sequence.
struct Text {
  explicit Text(size_t tokens, unsigned seed = 1) : count(tokens) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (Rows* x : {&q, &k, &v, &dy}) {
      x->resize(tokens * (x == &q || x == &k ? kKeyCols : kValueCols));
      for (float& value : *x) value = normal(random);
    }
  }
  size_t count;
  Rows q, k, v, dy;
};

// Part of a sequence: tokens [first, first + len), with the memory of those before, or without.
struct Part {
  const Text* text;
  size_t first, len;
  TokenMemory* memory = nullptr;
};

struct Outputs {
  Rows y, dq, dk, dv;
};

// One pass over the parts. Gradients start as 1 if they are asked for.
Outputs Attend(const std::vector<Part>& parts, size_t threads, const AttentionShape& shape,
               bool backward = false) {
  Arena arena;
  ThreadPool pool(threads);
  Tape tape;
  std::vector<Segment> segments;
  std::vector<PastRows> past;
  Rows q, k, v, dy;
  for (const Part& part : parts) {
    segments.push_back({q.size() / kKeyCols, part.len});
    const auto add = [&](const Rows& from, size_t cols, Rows& to) {
      to.insert(to.end(), from.begin() + part.first * cols,
                from.begin() + (part.first + part.len) * cols);
    };
    add(part.text->q, kKeyCols, q);
    add(part.text->k, kKeyCols, k);
    add(part.text->v, kValueCols, v);
    add(part.text->dy, kValueCols, dy);
    if (part.memory == nullptr) continue;
    part.memory->Append(part.len);
    past.push_back({part.memory, part.first, 0, 1});
  }
  Outputs out{{}, Rows(q.size(), 1.0f), Rows(k.size(), 1.0f), Rows(v.size(), 1.0f)};
  const size_t rows = q.size() / kKeyCols;
  const auto var = [&](Rows& x, Rows& g, size_t cols) {
    Var y{{x.data(), rows, cols, cols}, {}};
    if (backward) y.g = {g.data(), rows, cols, cols};
    return y;
  };
  Pass p{.arena = arena,
         .pool = pool,
         .segments = segments,
         .strides = {},
         .tape = backward ? &tape : nullptr};
  const Var y = Attention(p, var(q, out.dq, kKeyCols), var(k, out.dk, kKeyCols),
                          var(v, out.dv, kValueCols), shape, past);
  out.y.assign(y.v.data, y.v.data + rows * kValueCols);
  if (backward) {
    y.InitGradient();
    std::copy(dy.begin(), dy.end(), y.g.data);
    tape.Backward();
  }
  return out;
}

::testing::AssertionResult EqualBits(const Rows& a, const Rows& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << ", " << b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) {
      return ::testing::AssertionFailure() << "at " << i << ": " << a[i] << ", " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

Rows InChunks(const Text& text, size_t chunk, RowType type, size_t threads,
              const AttentionShape& shape) {
  TokenMemory memory = NewMemory(type);
  Rows y;
  for (size_t t = 0; t < text.count; t += chunk) {
    const Rows part =
        Attend({{&text, t, std::min(chunk, text.count - t), &memory}}, threads, shape).y;
    y.insert(y.end(), part.begin(), part.end());
  }
  return y;
}

TEST(Attention, TokenByTokenEqualsChunksEqualsSequenceOnAnyThreads) {
  const Text text(700);
  for (const AttentionShape& shape : {kPlain, kCapped}) {
    const Rows own = Attend({{&text, 0, text.count}}, 1, shape).y;
    EXPECT_TRUE(EqualBits(own, Attend({{&text, 0, text.count}}, 3, shape).y));
    for (const RowType type : {RowType::kF32, RowType::kF16}) {
      const Rows whole = InChunks(text, text.count, type, 1, shape);
      if (type == RowType::kF32) {
        EXPECT_TRUE(EqualBits(own, whole));
      }
      for (const size_t chunk : {1, 5, 32, 33, 64, 300}) {
        EXPECT_TRUE(EqualBits(whole, InChunks(text, chunk, type, 1 + chunk % 3, shape))) << chunk;
      }
    }
  }
}

TEST(Attention, OfASequenceDoesNotDependOnItsCompany) {
  const Text a(300, 1), b(310, 2), c(40, 3);
  const auto alone = [](const Text& text) {
    return InChunks(text, text.count, RowType::kF16, 1, kPlain);
  };
  const Rows ya = alone(a), yb = alone(b), yc = alone(c);
  TokenMemory ma = NewMemory(RowType::kF16), mb = ma, mc = ma;
  Attend({{&b, 0, 309, &mb}}, 2, kPlain);
  const Rows first = Attend({{&a, 0, 299, &ma}, {&b, 309, 1, &mb}, {&c, 0, 20, &mc}}, 2, kPlain).y;
  const Rows second = Attend({{&c, 20, 20, &mc}, {&a, 299, 1, &ma}}, 3, kPlain).y;
  const auto rows = [](const Rows& y, size_t begin, size_t count) {
    return Rows(y.begin() + begin * kValueCols, y.begin() + (begin + count) * kValueCols);
  };
  EXPECT_TRUE(EqualBits(rows(first, 0, 299), rows(ya, 0, 299)));
  EXPECT_TRUE(EqualBits(rows(first, 299, 1), rows(yb, 309, 1)));
  EXPECT_TRUE(EqualBits(rows(first, 300, 20), rows(yc, 0, 20)));
  EXPECT_TRUE(EqualBits(rows(second, 0, 20), rows(yc, 20, 20)));
  EXPECT_TRUE(EqualBits(rows(second, 20, 1), rows(ya, 299, 1)));
}

TEST(Attention, CopiesOfAMemoryGoOnApart) {
  const Text a(200, 1);
  Text b = a;  // another continuation after 100 tokens
  const Text other(200, 9);
  for (const auto rows : {&Text::q, &Text::k, &Text::v}) {
    const size_t cols = (a.*rows).size() / 200;
    std::copy((other.*rows).begin() + 100 * cols, (other.*rows).end(),
              (b.*rows).begin() + 100 * cols);
  }
  TokenMemory ma = NewMemory(RowType::kF32);
  Attend({{&a, 0, 100, &ma}}, 1, kPlain);
  TokenMemory mb = ma;
  const Rows ya = Attend({{&a, 100, 100, &ma}}, 1, kPlain).y;
  const Rows yb = Attend({{&b, 100, 100, &mb}}, 1, kPlain).y;
  const auto end = [](const Text& text) {
    const Rows y = Attend({{&text, 0, 200}}, 1, kPlain).y;
    return Rows(y.begin() + 100 * kValueCols, y.end());
  };
  EXPECT_TRUE(EqualBits(ya, end(a)));
  EXPECT_TRUE(EqualBits(yb, end(b)));
  EXPECT_EQ(SharedPages(ma, mb), 1u);
}

// The gradients of tokens [first, count), in double; the tokens before are constants.
Outputs GradientsInDouble(const Text& x, size_t first, const AttentionShape& shape) {
  std::vector<double> dq(x.q.size()), dk(x.k.size()), dv(x.v.size());
  for (size_t h = 0; h < kAttentionHeads; ++h) {
    for (size_t t = first; t < x.count; ++t) {
      const float *q = &x.q[t * kKeyCols + h * kKeys], *dy = &x.dy[t * kValueCols + h * kValues];
      std::vector<double> weight(t + 1), slope(t + 1), dweight(t + 1);
      double sum = 0, mean = 0;
      for (size_t j = 0; j <= t; ++j) {
        double u = 0;
        for (size_t i = 0; i < kKeys; ++i) u += double{q[i]} * x.k[j * kKeyCols + h * kKeys + i];
        u *= shape.scale;
        const double tanh = shape.cap == 0 ? 0 : std::tanh(u / shape.cap);
        weight[j] = std::exp(shape.cap == 0 ? u : shape.cap * tanh);
        slope[j] = shape.scale * (1 - tanh * tanh);
        sum += weight[j];
      }
      for (size_t j = 0; j <= t; ++j) {
        weight[j] /= sum;
        for (size_t i = 0; i < kValues; ++i) {
          dweight[j] += double{dy[i]} * x.v[j * kValueCols + h * kValues + i];
          dv[j * kValueCols + h * kValues + i] += weight[j] * dy[i];
        }
        mean += weight[j] * dweight[j];
      }
      for (size_t j = 0; j <= t; ++j) {
        const double du = weight[j] * (dweight[j] - mean) * slope[j];
        for (size_t i = 0; i < kKeys; ++i) {
          dq[t * kKeyCols + h * kKeys + i] += du * x.k[j * kKeyCols + h * kKeys + i];
          dk[j * kKeyCols + h * kKeys + i] += du * q[i];
        }
      }
    }
  }
  const auto from = [&](const std::vector<double>& g, size_t cols) {
    return Rows(g.begin() + first * cols, g.end());
  };
  return {{}, from(dq, kKeyCols), from(dk, kKeyCols), from(dv, kValueCols)};
}

void ExpectNear(const Rows& g, const Rows& expected) {
  ASSERT_EQ(g.size(), expected.size());
  float largest = 0;
  for (const float x : expected) largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < g.size(); ++i) {
    ASSERT_NEAR(g[i], expected[i] + 1, 1e-5f * (1 + largest)) << i;  // ops add to a gradient
  }
}

TEST(Attention, GradientsAreThoseOfTheFormulaOnAnyThreads) {
  const Text text(330);
  for (const AttentionShape& shape : {kPlain, kCapped}) {
    for (const size_t first : {size_t{0}, size_t{100}, size_t{256}}) {
      std::vector<Outputs> runs;
      for (const size_t threads : {1, 3}) {
        TokenMemory memory = NewMemory(RowType::kF32);
        if (first > 0) Attend({{&text, 0, first, &memory}}, threads, shape);
        runs.push_back(Attend({{&text, first, text.count - first, &memory}}, threads, shape, true));
      }
      const Outputs expected = GradientsInDouble(text, first, shape);
      ExpectNear(runs[0].dq, expected.dq);
      ExpectNear(runs[0].dk, expected.dk);
      ExpectNear(runs[0].dv, expected.dv);
      EXPECT_TRUE(EqualBits(runs[0].dq, runs[1].dq));
      EXPECT_TRUE(EqualBits(runs[0].dk, runs[1].dk));
      EXPECT_TRUE(EqualBits(runs[0].dv, runs[1].dv));
      if (first > 0) continue;
      // Without a memory, and with another sequence before it.
      const Text other(50, 5);
      const Outputs batch = Attend({{&other, 0, 50}, {&text, 0, text.count}}, 3, shape, true);
      const auto last = [](const Rows& g, size_t cols) {
        return Rows(g.begin() + 50 * cols, g.end());
      };
      EXPECT_TRUE(EqualBits(runs[0].dq, last(batch.dq, kKeyCols)));
      EXPECT_TRUE(EqualBits(runs[0].dk, last(batch.dk, kKeyCols)));
      EXPECT_TRUE(EqualBits(runs[0].dv, last(batch.dv, kValueCols)));
    }
  }
}

}  // namespace
}  // namespace linnet
