// Epilogues of a product, and rows made for products, give the bits of the separate operations,
// forward and backward.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>

#include "base/buffer.h"
#include "kernels/rows.h"
#include "ops/ops.h"
#include "ops/product.h"

namespace linnet {
namespace {

// Odd sizes, and enough rows for every way of multiplying.
constexpr size_t kInputs = 96, kOutputs = 160;
constexpr size_t kRowCounts[] = {1, 7, 40, 200};

using Values = std::vector<float>;

Values Random(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Values values(n);
  for (float& x : values) x = normal(random);
  return values;
}

struct Matrix {
  Matrix(DType dtype, size_t out, size_t in)
      : packed(PackedBytes(dtype, out, in)), gradient(out * in) {
    const Values values = Random(out * in, 5);
    for (size_t row = 0; row < out; row += kPanelRows) {
      PackPanel(dtype, values.data() + row * in, in, std::min(kPanelRows, out - row), in,
                packed.data() + row / kPanelRows * PanelBytes(dtype, in));
    }
    w = {{dtype, out, in, packed.data()}, {gradient.data(), out, in, in}};
  }
  Buffer packed;
  Values gradient;
  LinearParam w;
};

struct Inputs {
  Var x, bias;
  const LinearParam &first, &second;
};
using Op = std::function<Var(Pass&, const Inputs&)>;

void Append(const Mat<float>& m, Values& all) {
  for (size_t t = 0; t < m.rows; ++t) all.insert(all.end(), m.Row(t), m.Row(t) + m.cols);
}

// The result of `op` and its gradients.
Values Run(const Op& op, DType dtype, size_t rows, bool learn, size_t threads) {
  Matrix first(dtype, kOutputs, kInputs), second(dtype, kInputs, kOutputs);
  Values x = Random(rows * kInputs, 1), dx(x.size()), bias = Random(kOutputs, 2), dbias(kOutputs);
  Values state(2 * kInputs, 0.5f);
  Arena arena;
  ThreadPool pool(threads);
  Tape tape;
  const Segment segments[] = {{0, rows, state.data()}};
  const LayerStrides strides{.att_shift = kInputs, .ffn_shift = kInputs};
  Pass p{.arena = arena,
         .pool = pool,
         .segments = segments,
         .strides = {{&strides, 1}},
         .tape = learn ? &tape : nullptr};
  const Var input{{x.data(), rows, kInputs, kInputs}, {dx.data(), rows, kInputs, kInputs}};
  const Var shared{{bias.data(), 1, kOutputs, kOutputs}, {dbias.data(), 1, kOutputs, kOutputs}};
  const Var y = op(p, {input, shared, first.w, second.w});
  Values all;
  Append(y.v, all);
  if (!learn) return all;
  y.InitGradient();
  const Values dy = Random(y.rows() * y.cols(), 3);
  for (size_t t = 0; t < y.rows(); ++t) std::copy_n(&dy[t * y.cols()], y.cols(), y.g.Row(t));
  tape.Backward();
  for (const Values& g : {dx, dbias, first.gradient, second.gradient}) {
    all.insert(all.end(), g.begin(), g.end());
  }
  return all;
}

void ExpectSame(const Op& at_once, const Op& one_by_one, bool with_gradient = true) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const size_t rows : kRowCounts) {
      for (const bool learn : {false, true}) {
        if (learn && !with_gradient) continue;
        const Values a = Run(at_once, dtype, rows, learn, 2);
        const Values b = Run(one_by_one, dtype, rows, learn, 1);
        ASSERT_EQ(a.size(), b.size());
        EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0)
            << rows << " rows of " << static_cast<int>(dtype) << (learn ? ", learning" : "");
      }
    }
  }
}

TEST(LinearMaps, Sigmoid) {
  ExpectSame([](Pass& p, const Inputs& in) { return LinearSigmoid(p, in.x, in.first, in.bias); },
             [](Pass& p, const Inputs& in) {
               return SigmoidInPlace(p, AddBiasInPlace(p, Linear(p, in.x, in.first), in.bias));
             });
}

TEST(LinearMaps, Wkv7Decay) {
  ExpectSame([](Pass& p, const Inputs& in) { return LinearWkv7Decay(p, in.x, in.first, in.bias); },
             [](Pass& p, const Inputs& in) {
               const Var y = AddBiasInPlace(p, Linear(p, in.x, in.first), in.bias);
               for (size_t t = 0; t < y.rows(); ++t) Wkv7DecayRow(y.v.Row(t), y.cols(), y.v.Row(t));
               return y;
             },
             false);
}

TEST(LinearMaps, ReluSquaredForAProduct) {
  ExpectSame(
      [](Pass& p, const Inputs& in) {
        return Linear(p, LinearReluSquared(p, in.x, in.first, in.second), in.second);
      },
      [](Pass& p, const Inputs& in) {
        return Linear(p, ReluSquaredInPlace(p, Linear(p, in.x, in.first)), in.second);
      });
}

TEST(LinearMaps, MixesForProducts) {
  const auto lerps = [](bool ready) {
    return [ready](Pass& p, const Inputs& in) {
      static Values weights = Random(kInputs, 4);
      const Var mu{{weights.data(), 1, kInputs, kInputs}, {}};
      const auto which = ShiftOf::kTimeMix;
      if (ready) {
        const auto [a, b] =
            ShiftedLerps(p, in.x, which, MixFor(mu, in.first), MixFor(mu, in.first, in.first));
        EXPECT_EQ(a.ready.form, ActivationFor(in.first.w.dtype, false));
        return Add(p, Linear(p, a, in.first), Linear(p, b, in.first));
      }
      const auto [a, b] = ShiftedLerps(p, in.x, which, mu, mu);
      return Add(p, Linear(p, a, in.first), Linear(p, b, in.first));
    };
  };
  ExpectSame(lerps(true), lerps(false));
}

}  // namespace
}  // namespace linnet
