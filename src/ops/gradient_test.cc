// Every operation's vjp equals the derivative of its forward: central differences on well-scaled
// inputs.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <random>

#include "base/buffer.h"
#include "kernels/matmul.h"
#include "ops/ops.h"

namespace linnet {
namespace {

constexpr size_t kRows = 5, kCols = 8, kHeads = 2;

// A pass over two segments, so that gradients through the state are tested twice.
class Bench {
 public:
  explicit Bench(bool record, size_t wkv, float first = 0.0f)
      : state_(2 * (2 * kCols + wkv), 0.1f),
        strides_{.att_shift = kCols, .wkv = wkv, .ffn_shift = kCols},
        segments_{{0, 3, state_.data()}, {3, 2, state_.data() + 2 * kCols + wkv}},
        pass_{.arena = arena_,
              .pool = pool_,
              .segments = segments_,
              .strides = {{&strides_, 1}},
              .exact = true,
              .tape = record ? &tape_ : nullptr} {
    for (float& x : state_) x += first;
  }
  Pass& pass() { return pass_; }
  Tape& tape() { return tape_; }

 private:
  Arena arena_;
  ThreadPool pool_{2};
  Tape tape_;
  std::vector<float> state_;
  LayerStrides strides_;
  Segment segments_[2];
  Pass pass_;
};

struct Input {
  size_t rows, cols;
  float low = -1, high = 1;
};

// A gradient as a later step would leave it.
Mat<float> Gradient(const Var& y) {
  y.InitGradient();
  return y.g;
}

// A copy for ops that overwrite their input.
Var Copy(Pass& p, Var x) { return Neg(p, Neg(p, x)); }

using Op = std::function<Var(Pass&, const std::vector<Var>&)>;

class Checker {
 public:
  Checker(std::vector<Input> inputs, Op op, size_t wkv = 0)
      : shapes_(std::move(inputs)), op_(std::move(op)), wkv_(wkv) {
    for (const Input& in : shapes_) {
      std::uniform_real_distribution<float> value(in.low, in.high);
      auto& values = values_.emplace_back(in.rows * in.cols);
      for (float& x : values) x = value(random_);
    }
  }

  void Check(double tolerance = 2e-3) {
    const auto gradients = Backward();
    for (size_t i = 0; i < values_.size(); ++i) {
      double largest = 1e-3, difference = 0;
      for (size_t j = 0; j < values_[i].size(); ++j) {
        const double slope = Slope(i, j);
        largest = std::max(largest, std::abs(slope));
        difference = std::max(difference, std::abs(slope - gradients[i][j]));
      }
      EXPECT_LE(difference, tolerance * largest) << "input " << i;
    }
  }

 private:
  // The scalar is a fixed random weighting of the outputs.
  static double WeightOf(size_t i) { return std::sin(1.0 + 3.7 * static_cast<double>(i)); }

  std::vector<Var> Inputs(std::vector<std::vector<float>>& gradients) {
    std::vector<Var> vars;
    for (size_t i = 0; i < shapes_.size(); ++i) {
      const auto [rows, cols, low, high] = shapes_[i];
      gradients.emplace_back(rows * cols, 0.0f);
      vars.push_back(
          {{values_[i].data(), rows, cols, cols}, {gradients[i].data(), rows, cols, cols}});
    }
    return vars;
  }

  std::vector<std::vector<float>> Backward() {
    Bench bench(true, wkv_);
    std::vector<std::vector<float>> gradients;
    gradients.reserve(shapes_.size());
    const Var y = op_(bench.pass(), Inputs(gradients));
    for (size_t t = 0; t < y.rows(); ++t) {
      for (size_t c = 0; c < y.cols(); ++c) {
        Gradient(y).Row(t)[c] = static_cast<float>(WeightOf(t * y.cols() + c));
      }
    }
    bench.tape().Backward();
    return gradients;
  }

  double Value() {
    Bench bench(false, wkv_);
    std::vector<std::vector<float>> gradients;
    gradients.reserve(shapes_.size());
    const Var y = op_(bench.pass(), Inputs(gradients));
    double sum = 0;
    for (size_t t = 0; t < y.rows(); ++t) {
      for (size_t c = 0; c < y.cols(); ++c) sum += WeightOf(t * y.cols() + c) * y.v.Row(t)[c];
    }
    return sum;
  }

  double Slope(size_t input, size_t element) {
    float& x = values_[input][element];
    const float at = x, step = 0.01f;
    x = at + step;
    const double up = Value(), width = double{x} - (at - step);
    x = at - step;
    const double down = Value();
    x = at;
    return (up - down) / width;
  }

  std::mt19937 random_{7};
  std::vector<Input> shapes_;
  Op op_;
  size_t wkv_;
  std::vector<std::vector<float>> values_;
};

const Input kRowsIn{kRows, kCols}, kRow{1, kCols};

TEST(OpGradient, MapsOfOneInput) {
  using Map = Var (*)(Pass&, Var);
  for (const Map map : {Map{Neg}, Map{OneMinus}, Map{SigmoidInPlace}, Map{TanhInPlace}, Map{Silu},
                        Map{ExpNegExp}}) {
    Checker({kRowsIn}, [map](Pass& p, const auto& x) { return map(p, Copy(p, x[0])); }).Check();
  }
}

TEST(OpGradient, ReluSquaredOnBothSidesOfItsKink) {
  for (const Input in : {Input{kRows, kCols, 0.1f, 1}, Input{kRows, kCols, -1, -0.1f}}) {
    Checker({in}, [](Pass& p, const auto& x) {
      return ReluSquaredInPlace(p, Copy(p, x[0]));
    }).Check();
  }
}

TEST(OpGradient, MapsOfAProduct) {
  Buffer panel(PackedBytes(DType::kF32, kCols, kCols));
  std::vector<float> values(kCols * kCols);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::cos(static_cast<float>(i));
  PackPanel(DType::kF32, values.data(), kCols, kCols, kCols, panel.data());
  const LinearParam w{{DType::kF32, kCols, kCols, panel.data()}};
  Checker({kRowsIn, kRow}, [&](Pass& p, const auto& x) {
    return LinearSigmoid(p, x[0], w, x[1]);
  }).Check();
  Checker({kRowsIn, kRow}, [&](Pass& p, const auto& x) {
    return LinearWkv7Decay(p, x[0], w, x[1]);
  }).Check();
}

TEST(OpGradient, MapsOfTwoInputs) {
  using Map2 = Var (*)(Pass&, Var, Var);
  for (const Map2 map : {Map2{Add}, Map2{Sub}, Map2{Mul}, Map2{AddResidualInPlace}}) {
    Checker({kRowsIn, kRowsIn, kRowsIn}, [map](Pass& p, const auto& x) {
      return map(p, Add(p, x[0], x[1]), Copy(p, x[2]));
    }).Check();
  }
}

TEST(OpGradient, BroadcastSumsOverRows) {
  Checker({kRowsIn, kRow}, [](Pass& p, const auto& x) {
    return Mul(p, x[0], Broadcast(x[1], kRows));
  }).Check();
}

TEST(OpGradient, AddBias) {
  Checker({kRowsIn, kRow}, [](Pass& p, const auto& x) {
    return Silu(p, AddBiasInPlace(p, Copy(p, x[0]), x[1]));
  }).Check();
}

TEST(OpGradient, RepeatAndColumns) {
  Checker({{kRows, 4}}, [](Pass& p, const auto& x) { return Repeat(p, x[0], 3); }).Check();
  Checker({kRowsIn}, [](Pass& p, const auto& x) { return Silu(p, Columns(x[0], 2, 3)); }).Check();
}

TEST(OpGradient, Lerp) {
  Checker({kRowsIn, kRowsIn, kRow}, [](Pass& p, const auto& x) {
    return Lerp(p, x[0], x[1], Broadcast(x[2], kRows));
  }).Check();
}

TEST(OpGradient, ShiftStaysInItsSegment) {
  for (const ShiftOf which : {ShiftOf::kTimeMix, ShiftOf::kChannelMix}) {
    Checker({kRowsIn}, [which](Pass& p, const auto& x) { return Shift(p, x[0], which); }).Check();
  }
}

TEST(OpGradient, ShiftedLerps) {
  for (const ShiftOf which : {ShiftOf::kTimeMix, ShiftOf::kChannelMix}) {
    Checker({kRowsIn, kRow, kRow}, [which](Pass& p, const auto& x) {
      const auto [a, b] = ShiftedLerps(p, x[0], which, x[1], x[2]);
      return Mul(p, a, b);
    }).Check();
  }
}

TEST(OpGradient, Norms) {
  for (const size_t groups : {size_t{1}, kHeads}) {
    Checker({kRowsIn, kRow, kRow}, [groups](Pass& p, const auto& x) {
      return Norm(p, x[0], groups, x[1], x[2], 1e-3f);
    }).Check();
  }
}

TEST(OpGradient, Heads) {
  Checker({kRowsIn}, [](Pass& p, const auto& x) {
    return NormalizeHeads(p, x[0], kHeads);
  }).Check();
  Checker({kRowsIn, kRowsIn, kRowsIn, kRowsIn, kRow}, [](Pass& p, const auto& x) {
    return AddBonus(p, x[0], x[1], x[2], x[3], x[4], kHeads);
  }).Check();
}

TEST(OpGradient, NormalizeRms) {
  Checker({kRowsIn}, [](Pass& p, const auto& x) { return NormalizeRms(p, x[0]); }).Check();
}

TEST(OpGradient, Concatenate) {
  Checker({{kRows, 3}, {kRows, 5}}, [](Pass& p, const auto& x) {
    const Var y = Concatenate(p, x[0], x[1]);
    return Mul(p, y, Silu(p, y));
  }).Check();
}

TEST(OpGradient, TimesOwnMatrix) {
  Checker({{3, 4}, {3, 16}}, [](Pass& p, const auto& x) {
    return TimesOwnMatrix(p, x[0], x[1]);
  }).Check();
}

TEST(OpGradient, RowsByGroups) {
  // Two groups of rows, each with something of its own.
  const std::vector<size_t> first = {0, 3}, second = {1, 2, 4};
  Checker({kRowsIn, kRowsIn, kRow}, [&](Pass& p, const auto& x) {
    const Var some = Mul(p, TakeRows(p, x[0], first), Broadcast(x[2], first.size()));
    const Var rest = TakeRows(p, x[0], second);
    const Var sum = AddToRowsInPlace(p, Copy(p, x[1]), some, first);
    return AddToRowsInPlace(p, sum, Mul(p, rest, rest), second);
  }).Check();
}

TEST(OpGradient, Rwkv7Rows) {
  Checker({kRowsIn, kRowsIn, kRowsIn}, [](Pass& p, const auto& x) {
    return MixValueResidual(p, x[0], x[1], x[2]);
  }).Check();
  Checker({kRowsIn, kRowsIn, {1, kCols, 0.5f, 1}, kRow}, [](Pass& p, const auto& x) {
    const Wkv7Keys y = MakeWkv7Keys(p, x[0], x[1], x[2], x[3], kHeads);
    return Add(p, y.key, Mul(p, y.remove, Silu(p, y.replace)));
  }).Check();
  Checker({kRowsIn, kRowsIn, kRowsIn, kRowsIn, kRow, kRow, kRow, kRowsIn}, [](Pass& p,
                                                                              const auto& x) {
    return GatedOutput(p, {x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]}, kHeads, 1e-3f);
  }).Check();
}

TEST(OpGradient, Wkv4) {
  Checker(
      {{1, kCols, -1.0f, -0.1f}, kRow, kRowsIn, kRowsIn},
      [](Pass& p, const auto& x) { return Wkv4(p, x[0], x[1], x[2], x[3]); }, 3 * kCols)
      .Check();
}

TEST(OpGradient, Wkv6) {
  const size_t state = kCols * kCols / kHeads;
  Checker(
      {kRowsIn, {kRows, kCols, 0.2f, 0.9f}, kRowsIn, kRowsIn, kRow},
      [](Pass& p, const auto& x) { return Wkv6(p, x[0], x[1], x[2], x[3], x[4], kHeads); }, state)
      .Check();
  Checker(
      {kRowsIn, {1, kCols, 0.2f, 0.9f}, kRowsIn, kRowsIn, kRow},
      [](Pass& p, const auto& x) {
        return Wkv6(p, x[0], Broadcast(x[1], kRows), x[2], x[3], x[4], kHeads);
      },
      state)
      .Check();
  for (const bool log_u : {false, true}) {
    Checker(
        {kRowsIn, {1, kHeads, -1, 0.5f}, kRowsIn, kRowsIn, {1, kHeads}},
        [log_u](Pass& p, const auto& x) {
          const Var w = Repeat(p, ExpNegExp(p, Broadcast(x[1], kRows)), kCols / kHeads);
          return Wkv6(p, x[0], w, x[2], x[3], x[4], kHeads, log_u);
        },
        state)
        .Check();
  }
}

TEST(OpGradient, Wkv7) {
  Checker(
      {kRowsIn, {kRows, kCols, 0.55f, 0.95f}, kRowsIn, kRowsIn, kRowsIn, kRowsIn},
      [](Pass& p, const auto& x) { return Wkv7(p, x[0], x[1], x[2], x[3], x[4], x[5], kHeads); },
      kCols * kCols / kHeads)
      .Check();
}

TEST(OpGradient, Attention) {
  for (const float cap : {0.0f, 2.0f}) {
    Checker({kRowsIn, kRowsIn, {kRows, 6}}, [cap](Pass& p, const auto& x) {
      return Attention(p, x[0], x[1], x[2], {kHeads, 0.7f, cap});
    }).Check();
  }
}

TEST(OpGradient, AttentionOverEarlierTokens) {
  const auto layout = std::make_shared<RowLayout>(
      std::vector<RowSlot>{{"k", kCols, RowType::kF32}, {"v", kCols, RowType::kF32}});
  const size_t past[] = {70, 62};
  std::vector<TokenMemory> memories(2, TokenMemory(layout));
  for (size_t i = 0; i < 2; ++i) {
    memories[i].Append(past[i]);
    for (size_t t = 0; t < past[i] * kCols; ++t) {
      for (const size_t slot : {size_t{0}, size_t{1}}) {
        auto* row = reinterpret_cast<float*>(memories[i].MutableRow(slot, t / kCols));
        row[t % kCols] = std::sin(static_cast<float>(7 * t + slot));
      }
    }
  }
  Checker({kRowsIn, kRowsIn, kRowsIn}, [&](Pass& p, const auto& x) {
    std::vector<PastRows> rows;
    for (size_t i = 0; i < 2; ++i) {
      memories[i].Truncate(past[i]);
      memories[i].Append(p.segments[i].len);
      rows.push_back({&memories[i], past[i], 0, 1});
    }
    return Attention(p, x[0], x[1], x[2], {kHeads, 0.7f, 0}, rows);
  }).Check();
}

// The matrix of a Linear, packed; its gradient is compared through the rows.
TEST(OpGradient, LinearToItsInput) {
  const size_t out = 70;
  std::vector<float> source(out * kCols);
  std::mt19937 random(3);
  for (float& x : source) x = std::uniform_real_distribution<float>(-1, 1)(random);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    Buffer packed(PackedBytes(dtype, out, kCols));
    for (size_t panel = 0; panel * kPanelRows < out; ++panel) {
      PackPanel(dtype, source.data() + panel * kPanelRows * kCols, kCols,
                std::min(kPanelRows, out - panel * kPanelRows), kCols,
                packed.data() + panel * PanelBytes(dtype, kCols));
    }
    const LinearParam w{{dtype, out, kCols, packed.data()}, {}};
    Checker({kRowsIn}, [&w](Pass& p, const auto& x) { return Linear(p, x[0], w); }).Check();
  }
}

TEST(OpGradient, LinearToItsMatrix) {
  const size_t out = 3;
  std::vector<float> source(out * kCols, 0.5f), gradient(out * kCols, 1.0f);
  Buffer packed(PackedBytes(DType::kF32, out, kCols));
  PackPanel(DType::kF32, source.data(), kCols, out, kCols, packed.data());
  const LinearParam w{{DType::kF32, out, kCols, packed.data()},
                      {gradient.data(), out, kCols, kCols}};
  Bench bench(true, 0);
  const Var x = bench.pass().New(kRows, kCols);
  for (size_t i = 0; i < kRows * kCols; ++i) x.v.data[i] = std::cos(static_cast<float>(i));
  const Var y = Linear(bench.pass(), x, w);
  for (size_t i = 0; i < kRows * out; ++i) Gradient(y).data[i] = std::sin(static_cast<float>(i));
  bench.tape().Backward();
  for (size_t n = 0; n < out; ++n) {
    for (size_t k = 0; k < kCols; ++k) {
      double expected = 1;  // ops add to a gradient
      for (size_t t = 0; t < kRows; ++t) expected += double{y.g.Row(t)[n]} * x.v.Row(t)[k];
      EXPECT_NEAR(gradient[n * kCols + k], expected, 1e-5);
    }
  }
}

}  // namespace
}  // namespace linnet
