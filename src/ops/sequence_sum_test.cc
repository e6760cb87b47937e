// A parameter's gradient has the same bits whether a batch runs in one pass or in two whose
// gradients are added, and on any number of threads.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>

#include "ops/ops.h"

namespace linnet {
namespace {

// Wide and long enough that work is split over threads.
constexpr size_t kLen = 37, kSequences = 4, kRows = kLen * kSequences, kCols = 128, kHeads = 2;
constexpr size_t kState = kCols * kCols / kHeads;

using Values = std::vector<float>;
struct Case {
  const char* name;
  size_t inputs;                            // [rows, kCols] each
  std::vector<std::pair<float, float>> of;  // the ranges of the parameters' values
  std::function<Var(Pass&, const std::vector<Var>&, const std::vector<Var>&)> op;
};

const std::pair<float, float> kAny{-1, 1};

Var All(const Var& row, const Var& like) { return Broadcast(row, like.rows()); }

const Case kCases[] = {
    {"add",
     1,
     {kAny},
     [](Pass& p, const auto& x, const auto& w) { return Add(p, x[0], All(w[0], x[0])); }},
    {"sub",
     1,
     {kAny},
     [](Pass& p, const auto& x, const auto& w) { return Sub(p, x[0], All(w[0], x[0])); }},
    {"mul",
     1,
     {kAny},
     [](Pass& p, const auto& x, const auto& w) { return Mul(p, x[0], All(w[0], x[0])); }},
    {"lerp",
     2,
     {kAny},
     [](Pass& p, const auto& x, const auto& w) {
       return Lerp(p, x[0], x[1], All(OneMinus(p, w[0]), x[0]));
     }},
    {"shifted lerps",
     1,
     {kAny, kAny},
     [](Pass& p, const auto& x, const auto& w) {
       const auto [a, b] = ShiftedLerps(p, x[0], ShiftOf::kTimeMix, w[0], w[1]);
       return Mul(p, a, b);
     }},
    {"layer norm",
     1,
     {kAny, kAny},
     [](Pass& p, const auto& x, const auto& w) { return Norm(p, x[0], 1, w[0], w[1], 1e-5f); }},
    {"group norm",
     1,
     {kAny, kAny},
     [](Pass& p, const auto& x, const auto& w) {
       return Norm(p, x[0], kHeads, w[0], w[1], 64e-5f);
     }},
    {"bias",
     1,
     {kAny},
     [](Pass& p, const auto& x, const auto& w) { return AddBiasInPlace(p, Neg(p, x[0]), w[0]); }},
    {"wkv4",
     2,
     {{-1, -0.1f}, kAny},
     [](Pass& p, const auto& x, const auto& w) { return Wkv4(p, w[0], w[1], x[0], x[1]); }},
    {"wkv6",
     4,
     {kAny},
     [](Pass& p, const auto& x, const auto& w) {
       return Wkv6(p, x[0], x[1], x[2], x[3], w[0], kHeads);
     }},
    {"wkv6 with one decay",
     3,
     {kAny, {0.3f, 0.95f}},
     [](Pass& p, const auto& x, const auto& w) {
       return Wkv6(p, x[0], All(w[1], x[0]), x[1], x[2], w[0], kHeads);
     }},
    {"wkv6 with values a head",
     3,
     {kAny, kAny},
     [](Pass& p, const auto& x, const auto& w) {
       const Var decay = ExpNegExp(p, All(Columns(w[1], 0, kHeads), x[0]));
       return Wkv6(p, x[0], Repeat(p, decay, kCols / kHeads), x[1], x[2], Columns(w[0], 3, kHeads),
                   kHeads, true);
     }},
    {"wkv7",
     6,
     {},
     [](Pass& p, const auto& x, const auto&) {
       return Wkv7(p, x[0], x[1], x[2], x[3], Neg(p, x[4]), x[5], kHeads);
     }},
    {"RWKV7 keys",
     2,
     {kAny, kAny},
     [](Pass& p, const auto& x, const auto& w) {
       const Wkv7Keys y = MakeWkv7Keys(p, x[0], x[1], w[0], w[1], kHeads);
       return Add(p, y.key, Mul(p, y.remove, y.replace));
     }},
    {"gated output",
     5,
     {kAny, kAny, kAny},
     [](Pass& p, const auto& x, const auto& w) {
       return GatedOutput(p, {x[0], x[1], x[2], x[3], w[0], w[1], w[2], x[4]}, kHeads, 64e-5f);
     }},
    {"bonus",
     4,
     {kAny},
     [](Pass& p, const auto& x, const auto& w) {
       return AddBonus(p, x[0], x[1], x[2], x[3], w[0], kHeads);
     }},
};

struct Outcome {
  std::vector<Values> parameters, inputs;
};

class SequenceSum : public testing::TestWithParam<size_t> {
 protected:
  static Values Uniform(size_t n, float low, float high, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> value(low, high);
    Values values(n);
    for (float& x : values) x = value(random);
    return values;
  }

  // The gradients of sequences [begin, end) of the batch. The second is two documents.
  static Outcome Run(const Case& c, size_t begin, size_t end, size_t threads) {
    Outcome out;
    const size_t rows = (end - begin) * kLen, from = begin * kLen;
    std::vector<Values> values;
    std::vector<Var> inputs, parameters;
    const size_t count = c.inputs + c.of.size();
    for (auto* all : {&values, &out.inputs, &out.parameters}) all->reserve(count);
    for (size_t i = 0; i < c.inputs; ++i) {
      values.push_back(Uniform(kRows * kCols, 0.3f, 0.95f, 10 + unsigned(i)));
      float* g = out.inputs.emplace_back(rows * kCols).data();
      inputs.push_back(
          {{values.back().data() + from * kCols, rows, kCols, kCols}, {g, rows, kCols, kCols}});
    }
    for (size_t i = 0; i < c.of.size(); ++i) {
      values.push_back(Uniform(kCols, c.of[i].first, c.of[i].second, 50 + unsigned(i)));
      float* g = out.parameters.emplace_back(kCols).data();
      parameters.push_back({{values.back().data(), 1, kCols, kCols}, {g, 1, kCols, kCols}});
    }
    std::vector<Values> states;
    states.reserve(2 * kSequences);
    std::vector<Segment> segments;
    std::vector<TrainingSequence> sequences;
    const auto add = [&](size_t row, size_t len) {
      states.emplace_back(2 * kCols + kState, 0.1f);
      segments.push_back({row, len, states.back().data()});
    };
    for (size_t s = begin; s < end; ++s) {
      const size_t row = (s - begin) * kLen;
      sequences.push_back({row, kLen});
      if (s == 1) {
        add(row, 5);
        add(row + 5, kLen - 5);
      } else {
        add(row, kLen);
      }
    }
    Arena arena;
    ThreadPool pool(threads);
    Tape tape;
    const LayerStrides strides{.att_shift = kCols, .wkv = kState, .ffn_shift = kCols};
    Pass p{.arena = arena,
           .pool = pool,
           .segments = segments,
           .strides = {{&strides, 1}},
           .exact = true,
           .tape = &tape,
           .sequences = sequences};
    const Var y = c.op(p, inputs, parameters);
    const Values dy = Uniform(kRows * kCols, -1, 1, 99);
    y.InitGradient();
    for (size_t t = 0; t < rows; ++t) {
      std::memcpy(y.g.Row(t), dy.data() + (from + t) * kCols, kCols * sizeof(float));
    }
    tape.Backward();
    return out;
  }
};

::testing::AssertionResult SameBits(const Values& a, const Values& b) {
  if (a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0) {
    return ::testing::AssertionSuccess();
  }
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] != b[i]) {
      return ::testing::AssertionFailure() << "at " << i << ": " << a[i] << ", " << b[i];
    }
  }
  return ::testing::AssertionFailure() << "in size or in the sign of a zero";
}

TEST_P(SequenceSum, IsOfAnyCutIntoPassesAndOnAnyThreads) {
  const Case& c = kCases[GetParam()];
  const Outcome whole = Run(c, 0, 4, 1), first = Run(c, 0, 2, 1), second = Run(c, 2, 4, 1);
  const Outcome threads = Run(c, 0, 4, 3);
  for (size_t i = 0; i < c.of.size(); ++i) {
    Values sum = first.parameters[i];
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += second.parameters[i][j];
    EXPECT_TRUE(SameBits(whole.parameters[i], sum)) << c.name << ", parameter " << i;
    EXPECT_TRUE(SameBits(whole.parameters[i], threads.parameters[i])) << c.name << " in threads";
  }
  for (size_t i = 0; i < c.inputs; ++i) {
    Values rows = first.inputs[i];
    rows.insert(rows.end(), second.inputs[i].begin(), second.inputs[i].end());
    EXPECT_TRUE(SameBits(whole.inputs[i], rows)) << c.name << ", input " << i;
    EXPECT_TRUE(SameBits(whole.inputs[i], threads.inputs[i])) << c.name << " in threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, SequenceSum, testing::Range(size_t{0}, std::size(kCases)),
                         [](const auto& test) {
                           std::string name = kCases[test.param].name;
                           std::erase(name, ' ');
                           return name;
                         });

}  // namespace
}  // namespace linnet
