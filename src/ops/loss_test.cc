// The fused loss equals that of whole logits in double; its bits do not depend on threads or batch.
#include "ops/loss.h"

#include <cmath>

#include "base/buffer.h"
#include "kernels/each_isa.h"
#include "kernels/matmul.h"
#include "tensor/half.h"

namespace linnet {
namespace {

struct Problem {
  size_t rows, vocab, width;
  std::vector<TrainingSequence> sequences;
  std::vector<float> x, head;
  std::vector<int32_t> targets;
};

struct Result {
  std::vector<double> losses;
  std::vector<float> dx, dw;
};

// The peak memory of a loss and its gradient, for heads of so many outputs.
size_t ArenaBytes(size_t rows, size_t vocab, DType dtype) {
  constexpr size_t kWidth = 16;
  std::vector<float> x(rows * kWidth, 0.5f), dx(x.size()), head(kPanelRows * kWidth, 0.25f),
      dw(vocab * kWidth);
  Buffer packed(PackedBytes(dtype, vocab, kWidth));
  for (size_t row = 0; row < vocab; row += kPanelRows) {
    PackPanel(dtype, head.data(), kWidth, kPanelRows, kWidth,
              packed.data() + row / kPanelRows * PanelBytes(dtype, kWidth));
  }
  const std::vector<int32_t> targets(rows, 7);
  Arena arena;
  ThreadPool pool(2);
  Tape tape;
  Pass p{.arena = arena,
         .pool = pool,
         .segments = {},
         .strides = {},
         .exact = dtype == DType::kF32,
         .tape = &tape};
  std::vector<double> losses(1);
  HeadLoss(p, {{x.data(), rows, kWidth, kWidth}, {dx.data(), rows, kWidth, kWidth}},
           {{dtype, vocab, kWidth, packed.data()}, {dw.data(), vocab, kWidth, kWidth}}, targets,
           {.l2wrap = true, .scale = 1.0 / static_cast<double>(rows)}, losses);
  // All logits are equal.
  EXPECT_NEAR(losses[0] / static_cast<double>(rows), std::log(static_cast<double>(vocab)), 1e-3);
  return arena.reserved_bytes();
}

// [rows, V] floats would take 64 and 128 MB here.
TEST(HeadLoss, NeverHoldsTheLogits) {
  constexpr size_t kLossRows = 512, kVocab = 32768;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const size_t whole = kLossRows * kVocab * sizeof(float);
    const size_t some = ArenaBytes(kLossRows, kVocab, dtype),
                 more = ArenaBytes(kLossRows, 2 * kVocab, dtype);
    EXPECT_LT(some, whole / 2);
    EXPECT_LT(more, some + whole / 32) << "it grows with the vocabulary";
  }
}

class HeadLossTest : public EachIsa {
 protected:
  Problem Make(size_t sequences, size_t length, size_t vocab, size_t width) {
    Problem m{sequences * length, vocab, width, {}, {}, {}, {}};
    for (size_t s = 0; s < sequences; ++s) m.sequences.push_back({s * length, length});
    m.x = Normal(m.rows * width);
    m.head = Normal(vocab * width, 0.4f);
    for (size_t t = 0; t < m.rows; ++t) {
      m.targets.push_back(t % 7 == 3 ? -1 : static_cast<int32_t>(random_() % vocab));
    }
    return m;
  }

  static Problem Half(const Problem& m, size_t which) {
    Problem half = m;
    half.rows /= 2;
    half.sequences.resize(m.sequences.size() / 2);
    const size_t row = which * half.rows;
    half.x = {m.x.begin() + row * m.width, m.x.begin() + (row + half.rows) * m.width};
    half.targets = {m.targets.begin() + row, m.targets.begin() + row + half.rows};
    return half;
  }

  static Result Run(const Problem& m, DType dtype, bool exact, const LossOptions& options,
                    size_t threads, bool record = true) {
    Buffer packed(PackedBytes(dtype, m.vocab, m.width));
    for (size_t row = 0; row < m.vocab; row += kPanelRows) {
      PackPanel(dtype, m.head.data() + row * m.width, m.width, std::min(kPanelRows, m.vocab - row),
                m.width, packed.data() + row / kPanelRows * PanelBytes(dtype, m.width));
    }
    Result r{std::vector<double>(m.sequences.size()), std::vector<float>(m.x.size()),
             std::vector<float>(m.head.size())};
    Arena arena;
    ThreadPool pool(threads);
    Tape tape;
    Pass p{.arena = arena,
           .pool = pool,
           .segments = {},
           .strides = {},
           .exact = exact,
           .tape = record ? &tape : nullptr,
           .sequences = m.sequences};
    auto x = m.x;
    const LinearParam head{{dtype, m.vocab, m.width, packed.data()},
                           {r.dw.data(), m.vocab, m.width, m.width}};
    HeadLoss(p, {{x.data(), m.rows, m.width, m.width}, {r.dx.data(), m.rows, m.width, m.width}},
             head, m.targets, options, r.losses);
    return r;
  }

  // In double, of values rounded as bf16 products read them or not.
  static Result Reference(const Problem& m, bool bf16, const LossOptions& o) {
    const auto seen = [&](float v) { return double{bf16 ? BF16ToF32(F32ToBF16(v)) : v}; };
    std::vector<double> dx(m.x.size()), dw(m.head.size()), logits(m.vocab);
    Result r{std::vector<double>(m.sequences.size()), {}, {}};
    for (size_t t = 0; t < m.rows; ++t) {
      if (m.targets[t] < 0) continue;
      double sum = 0;
      for (size_t n = 0; n < m.vocab; ++n) {
        logits[n] = 0;
        for (size_t k = 0; k < m.width; ++k) {
          logits[n] += seen(m.x[t * m.width + k]) * seen(m.head[n * m.width + k]);
        }
        sum += std::exp(logits[n]);
      }
      const auto target = static_cast<size_t>(m.targets[t]);
      r.losses[t / m.sequences[0].len] += std::log(sum) - logits[target];
      const auto top = std::max_element(logits.begin(), logits.end()) - logits.begin();
      for (size_t n = 0; n < m.vocab; ++n) {
        double d = std::exp(logits[n]) / sum - (n == target ? 1 : 0);
        if (o.l2wrap && n == static_cast<size_t>(top)) d += 1e-4 * logits[n];
        for (size_t k = 0; k < m.width; ++k) {
          dx[t * m.width + k] += o.scale * d * seen(m.head[n * m.width + k]);
          dw[n * m.width + k] += o.scale * d * seen(m.x[t * m.width + k]);
        }
      }
    }
    r.dx = {dx.begin(), dx.end()};
    r.dw = {dw.begin(), dw.end()};
    return r;
  }

  // The largest difference relative to the largest value.
  static double Error(const std::vector<float>& a, const std::vector<float>& b) {
    double largest = 0, difference = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::abs(double{b[i]}));
      difference = std::max(difference, std::abs(double{a[i]} - b[i]));
    }
    return difference / largest;
  }
};

TEST_P(HeadLossTest, IsTheLossOfWholeLogits) {
  // Vocabularies that do not fill panels, and of several blocks.
  for (const size_t vocab : {size_t{5}, size_t{70}, size_t{4200}}) {
    const Problem m = Make(3, 13, vocab, 24);
    for (const bool l2wrap : {false, true}) {
      const LossOptions options{l2wrap, 0.25};
      for (const bool exact : {false, true}) {
        const auto r = Run(m, DType::kBF16, exact, options, 2);
        // Exact products round only the weights, so the activations may be bf16 from the start.
        Problem rounded = m;
        for (float& v : rounded.x) v = BF16ToF32(F32ToBF16(v));
        const auto expected = Reference(rounded, true, options);
        const auto found = exact ? Run(rounded, DType::kBF16, true, options, 2) : r;
        const bool coarse = !exact && ActivationFor(DType::kBF16, false) == Activation::kBF16;
        if (!exact && !coarse) continue;
        for (size_t s = 0; s < m.sequences.size(); ++s) {
          EXPECT_NEAR(found.losses[s], expected.losses[s], 1e-5 * 13) << vocab;
        }
        EXPECT_LE(Error(found.dx, expected.dx), coarse ? 4e-3 : 5e-6) << vocab;
        EXPECT_LE(Error(found.dw, expected.dw), coarse ? 4e-3 : 5e-6) << vocab;
      }
    }
  }
}

TEST_P(HeadLossTest, HalvesOfABatchAddUp) {
  const Problem m = Make(4, 70, 300, 40);
  for (const bool exact : {false, true}) {
    const LossOptions options{true, 1.0 / 300};
    const auto whole = Run(m, DType::kBF16, exact, options, 1);
    const auto other = Run(m, DType::kBF16, exact, options, 3);
    EXPECT_TRUE(BitEqual(whole.losses, other.losses));
    EXPECT_TRUE(BitEqual(whole.dx, other.dx));
    EXPECT_TRUE(BitEqual(whole.dw, other.dw));
    auto a = Run(Half(m, 0), DType::kBF16, exact, options, 2);
    const auto b = Run(Half(m, 1), DType::kBF16, exact, options, 1);
    a.losses.insert(a.losses.end(), b.losses.begin(), b.losses.end());
    a.dx.insert(a.dx.end(), b.dx.begin(), b.dx.end());
    for (size_t i = 0; i < a.dw.size(); ++i) a.dw[i] += b.dw[i];
    EXPECT_TRUE(BitEqual(whole.losses, a.losses));
    EXPECT_TRUE(BitEqual(whole.dx, a.dx));
    EXPECT_TRUE(BitEqual(whole.dw, a.dw));
  }
}

TEST_P(HeadLossTest, WithoutATapeOnlyTheLosses) {
  const Problem m = Make(2, 9, 130, 16);
  const auto with = Run(m, DType::kF32, false, {}, 2);
  const auto without = Run(m, DType::kF32, false, {}, 2, false);
  EXPECT_TRUE(BitEqual(with.losses, without.losses));
  EXPECT_EQ(without.dx, std::vector<float>(m.x.size()));
  EXPECT_EQ(without.dw, std::vector<float>(m.head.size()));
}

TEST_P(HeadLossTest, ANotANumberShowsInTheLoss) {
  Problem m = Make(2, 4, 100, 16);
  m.x[5] = std::nanf("");
  const auto r = Run(m, DType::kF32, true, {}, 1);
  EXPECT_TRUE(std::isnan(r.losses[0]));
  EXPECT_FALSE(std::isnan(r.losses[1]));
}

LINNET_EACH_ISA(HeadLossTest);

}  // namespace
}  // namespace linnet
