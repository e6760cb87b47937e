// A step equals torch.optim.AdamW's in double; sums of squares have one order.
#include "kernels/adamw.h"

#include <cmath>

#include "kernels/each_isa.h"

namespace linnet {
namespace {

struct AdamMoments {
  double w, m, v;
};

// torch.optim.AdamW, single-tensor form, in double.
AdamMoments Reference(AdamMoments x, double g, const AdamWStep& s) {
  g *= s.grad_scale;
  x.w -= s.lr * s.weight_decay * x.w;
  x.m = s.beta1 * x.m + (1 - s.beta1) * g;
  x.v = s.beta2 * x.v + (1 - s.beta2) * g * g;
  x.w -= s.lr / s.correction1 * x.m / (std::sqrt(x.v) / std::sqrt(s.correction2) + s.eps);
  return x;
}

class AdamWTest : public EachIsa {};

TEST_P(AdamWTest, ManyStepsAreTorchs) {
  for (const size_t n : {size_t{1}, size_t{7}, size_t{16}, size_t{100}}) {
    auto w = Normal(n);
    std::vector<float> m(n), v(n);
    std::vector<AdamMoments> expected;
    for (const float x : w) expected.push_back({x, 0, 0});
    AdamWStep s{.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0.1};
    s.grad_scale = 0.5;
    for (int t = 1; t <= 50; ++t) {
      s.correction1 = 1 - std::pow(s.beta1, t);
      s.correction2 = 1 - std::pow(s.beta2, t);
      const auto g = Normal(n, 1e-4f);
      AdamWRow(w.data(), g.data(), m.data(), v.data(), n, s);
      for (size_t i = 0; i < n; ++i) expected[i] = Reference(expected[i], g[i], s);
    }
    for (size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(w[i], expected[i].w, 2e-6);
      EXPECT_NEAR(m[i], expected[i].m, 1e-10);
      EXPECT_NEAR(v[i], expected[i].v, 1e-5 * expected[i].v);
    }
  }
}

// eps = 1e-18 matters beside a root of its own size, and without a gradient there is no step.
TEST_P(AdamWTest, TinyGradientsMeetATinyEpsilon) {
  AdamWStep s{.lr = 1, .beta1 = 0, .beta2 = 0, .eps = 1e-18};
  const std::vector<float> g = {0, 1e-18f, -3e-18f, 1e-10f, 1};
  std::vector<float> w(5), m(5), v(5);
  AdamWRow(w.data(), g.data(), m.data(), v.data(), 5, s);
  const std::vector<double> expected = {0, -0.5, 0.75, -1, -1};
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(w[i], expected[i], 0.01) << i;
  s.eps = 0;
  w.assign(5, 2.0f), m.assign(5, 0.0f), v.assign(5, 0.0f);
  AdamWRow(w.data(), g.data(), m.data(), v.data(), 1, s);
  EXPECT_EQ(w[0], 2.0f);
}

TEST_P(AdamWTest, ANotANumberShows) {
  std::vector<float> w(20, 1.0f), m(20), v(20), g(20);
  g[3] = g[19] = std::nanf("");
  AdamWRow(w.data(), g.data(), m.data(), v.data(), 20, {.lr = 0.1});
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(std::isnan(w[i]), i == 3 || i == 19) << i;
}

TEST_P(AdamWTest, RunsMayBeCutAnywhere) {
  const size_t n = 133;
  const auto g = Normal(n);
  const AdamWStep s{.lr = 0.1, .weight_decay = 0.3};
  auto w = Normal(n), cut = w;
  std::vector<float> m(n), v(n), cut_m(n), cut_v(n);
  AdamWRow(w.data(), g.data(), m.data(), v.data(), n, s);
  for (size_t i = 0, some = 1; i < n; i += some, some += 3) {
    some = std::min(some, n - i);
    AdamWRow(cut.data() + i, g.data() + i, cut_m.data() + i, cut_v.data() + i, some, s);
  }
  EXPECT_TRUE(BitEqual(w, cut));
  EXPECT_TRUE(BitEqual(m, cut_m));
  EXPECT_TRUE(BitEqual(v, cut_v));
}

TEST_P(AdamWTest, SumsOfSquaresAreNearAndInHalves) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{17}, size_t{4097}, size_t{32768}}) {
    const auto x = Normal(n);
    double sum = 0;
    for (const float value : x) sum += double{value} * value;
    EXPECT_NEAR(SumOfSquares(x.data(), n), sum, 1e-12 * sum);
  }
  const auto x = Normal(32768);
  const double half = SumOfSquares(x.data(), 16384), other = SumOfSquares(x.data() + 16384, 16384);
  EXPECT_EQ(SumOfSquares(x.data(), 32768), half + other);
}

LINNET_EACH_ISA(AdamWTest);

}  // namespace
}  // namespace linnet
