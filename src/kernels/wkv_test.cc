#include "kernels/wkv.h"

#include <cmath>

#include "kernels/each_isa.h"

namespace linnet {
namespace {

class WkvTest : public EachIsa {
 protected:
  // Values in (low, high).
  std::vector<float> Uniform(size_t n, float low, float high) {
    std::uniform_real_distribution<float> uniform(low, high);
    std::vector<float> values(n);
    for (float& x : values) x = uniform(random_);
    return values;
  }
};

struct Inputs7 {
  size_t stride;
  std::vector<float> r, w, k, v, a, b;
  Wkv7Rows Rows(size_t t) const {
    const auto at = [&](const std::vector<float>& x) {
      return HeadRows{x.data() + t * stride, stride};
    };
    return {at(r), at(w), at(k), at(v), at(a), at(b)};
  }
};

TEST_P(WkvTest, Wkv7) {
  const size_t tokens = 11;
  for (const size_t n : {1, 5, 16, 33, 64, 100}) {
    const size_t stride = n + 3, size = tokens * stride;
    const Inputs7 in{stride,
                     Normal(size),
                     Uniform(size, 0.55f, 1),
                     Normal(size),
                     Normal(size),
                     Normal(size, 1 / std::sqrt(float(n))),
                     Normal(size, 1 / std::sqrt(float(n)))};
    const auto initial = Normal(n * n);
    std::vector<double> S(initial.begin(), initial.end());
    std::vector<float> state = initial, y(size);
    Wkv7Head(in.Rows(0), tokens, n, state.data(), y.data(), stride);
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t i = 0; i < n; ++i) {
        double sa = 0, out = 0;
        for (size_t j = 0; j < n; ++j) sa += S[j * n + i] * in.a[t * stride + j];
        for (size_t j = 0; j < n; ++j) {
          const size_t at = t * stride + j;
          double& s = S[j * n + i];
          s = s * in.w[at] + in.b[at] * sa + double{in.k[at]} * in.v[t * stride + i];
          out += s * in.r[at];
        }
        ASSERT_NEAR(y[t * stride + i], out, 1e-3) << n << " " << t;
      }
    }
    for (size_t i = 0; i < n * n; ++i) ASSERT_NEAR(state[i], S[i], 1e-3);

    std::vector<float> stepped = initial, steps(size);
    for (size_t t = 0; t < tokens;) {
      const size_t count = std::min<size_t>(tokens - t, t % 3 + 1);
      Wkv7Head(in.Rows(t), count, n, stepped.data(), steps.data() + t * stride, stride);
      t += count;
    }
    EXPECT_TRUE(BitEqual(state, stepped)) << n;
    EXPECT_TRUE(BitEqual(y, steps)) << n;
  }
}

TEST_P(WkvTest, FinchWithDecayPerTokenOrConstant) {
  const size_t tokens = 11;
  for (const size_t n : {1, 5, 16, 33, 64, 100}) {
    for (const size_t w_stride : {size_t{0}, n}) {
      const auto r = Normal(tokens * n), k = Normal(tokens * n), v = Normal(tokens * n);
      const auto w = Uniform(tokens * n, 0.1f, 1), u = Normal(n), initial = Normal(n * n);
      const auto rows = [&](size_t t) {
        return Wkv6Rows{{r.data() + t * n, n},
                        {w.data() + t * w_stride, w_stride},
                        {k.data() + t * n, n},
                        {v.data() + t * n, n},
                        u.data()};
      };
      std::vector<double> S(initial.begin(), initial.end());
      std::vector<float> state = initial, y(tokens * n);
      Wkv6Head(rows(0), tokens, n, state.data(), y.data(), n);
      for (size_t t = 0; t < tokens; ++t) {
        for (size_t i = 0; i < n; ++i) {
          double out = 0;
          for (size_t j = 0; j < n; ++j) {
            const double kv = double{k[t * n + j]} * v[t * n + i];
            double& s = S[j * n + i];
            out += r[t * n + j] * (u[j] * kv + s);
            s = s * w[t * w_stride + j] + kv;
          }
          ASSERT_NEAR(y[t * n + i], out, 1e-3) << n << " " << t;
        }
      }
      for (size_t i = 0; i < n * n; ++i) ASSERT_NEAR(state[i], S[i], 1e-3);

      std::vector<float> stepped = initial, steps(tokens * n);
      for (size_t t = 0; t < tokens; ++t) {
        Wkv6Head(rows(t), 1, n, stepped.data(), steps.data() + t * n, n);
      }
      EXPECT_TRUE(BitEqual(state, stepped)) << n;
      EXPECT_TRUE(BitEqual(y, steps)) << n;
    }
  }
}

TEST_P(WkvTest, Dove) {
  const size_t tokens = 9;
  for (const size_t C : {1, 7, 16, 45}) {
    auto log_w = Normal(C);
    for (float& x : log_w) x = -std::exp(x);
    const auto u = Normal(C), k = Normal(tokens * C, 10.0f), v = Normal(tokens * C);
    std::vector<float> aa(C), bb(C), pp(C, -1e30f), y(tokens * C);
    const Mat<const float> K{k.data(), tokens, C, C}, V{v.data(), tokens, C, C};
    Wkv4(log_w.data(), u.data(), K, V, aa.data(), bb.data(), pp.data(), {y.data(), tokens, C, C});
    // From the definition: a weighted mean of all values so far.
    for (size_t c = 0; c < C; ++c) {
      for (size_t t = 0; t < tokens; ++t) {
        const double own = std::exp(double{u[c]} + k[t * C + c]);
        double top = own * v[t * C + c], bottom = own;
        for (size_t s = 0; s < t; ++s) {
          const double share = std::exp(double(t - 1 - s) * log_w[c] + k[s * C + c]);
          top += share * v[s * C + c];
          bottom += share;
        }
        ASSERT_NEAR(y[t * C + c], top / bottom, 1e-4) << C << " " << t;
      }
    }
    std::vector<float> aa1(C), bb1(C), pp1(C, -1e30f), steps(tokens * C);
    for (size_t t = 0; t < tokens; ++t) {
      Wkv4(log_w.data(), u.data(), K.Rows(t, 1), V.Rows(t, 1), aa1.data(), bb1.data(), pp1.data(),
           {steps.data() + t * C, 1, C, C});
    }
    EXPECT_TRUE(BitEqual(y, steps));
    EXPECT_TRUE(BitEqual(aa, aa1));
    EXPECT_TRUE(BitEqual(bb, bb1));
    EXPECT_TRUE(BitEqual(pp, pp1));
  }
}
LINNET_EACH_ISA(WkvTest);

}  // namespace
}  // namespace linnet
