#include "kernels/back_rows.h"

#include <cmath>

#include "kernels/each_isa.h"
#include "kernels/rows.h"

namespace linnet {
namespace {

class BackRowsTest : public EachIsa {};

struct Case {
  const char* name;
  Slope slope;
  void (*row)(const float*, size_t, float*) noexcept;
  double (*exact)(double);
};

double SigmoidAt(double x) { return 1 / (1 + std::exp(-x)); }

const Case kCases[] = {
    {"one minus", Slope::kMinusOne, OneMinusRow, [](double) { return -1.0; }},
    {"sigmoid", Slope::kSigmoid, SigmoidRow, [](double x) { return SigmoidAt(x) * SigmoidAt(-x); }},
    {"tanh", Slope::kTanh, TanhRow, [](double x) { return 1 - std::tanh(x) * std::tanh(x); }},
    {"silu", Slope::kSilu, SiluRow,
     [](double x) { return SigmoidAt(x) * (1 + x * SigmoidAt(-x)); }},
    {"relu squared", Slope::kReluSquared, ReluSquaredRow,
     [](double x) { return x > 0 ? 2 * x : 0; }},
    {"exp neg exp", Slope::kExpNegExp, ExpNegExpRow,
     [](double x) { return -std::exp(x - std::exp(x)); }},
    {"RWKV7 decay", Slope::kWkv7Decay, Wkv7DecayRow,
     [](double x) {
       const double c = std::exp(-0.5), s = SigmoidAt(x);
       return -c * s * (1 - s) * std::exp(-c * s);
     }},
};

TEST_P(BackRowsTest, SlopesAreExact) {
  for (const size_t n : {1, 15, 16, 77}) {
    auto x = Normal(n, 3.0f);
    x[0] = 90.0f;  // where a derivative underflows
    const auto dy = Normal(n), before = Normal(n);
    for (const Case& c : kCases) {
      std::vector<float> y(n), dx = before, pieces = before;
      c.row(x.data(), n, y.data());
      AddSlopeRow(c.slope, x.data(), y.data(), dy.data(), n, dx.data());
      for (size_t i = 0; i < n; ++i) {
        const double expected = before[i] + dy[i] * c.exact(x[i]);
        EXPECT_NEAR(dx[i], expected, 2e-6 * (1 + std::abs(expected))) << c.name << " " << x[i];
      }
      for (size_t i = 0, step = 1; i < n; i += step, step = step % 37 + 1) {
        AddSlopeRow(c.slope, x.data() + i, y.data() + i, dy.data() + i, std::min(step, n - i),
                    pieces.data() + i);
      }
      EXPECT_TRUE(BitEqual(dx, pieces)) << c.name;
      if (c.slope == Slope::kSilu || c.slope >= Slope::kExpNegExp) continue;
      std::vector<float> g = dy, added(n);
      MulSlopeRow(c.slope, y.data(), n, g.data());
      AddSlopeRow(c.slope, x.data(), y.data(), dy.data(), n, added.data());
      EXPECT_EQ(g, added) << c.name;
    }
  }
}

TEST_P(BackRowsTest, ProductsDifferencesAndLerps) {
  const size_t n = 77;
  const auto a = Normal(n), b = Normal(n), c = Normal(n), before = Normal(n);
  std::vector<float> product = before, difference = before, dx = before, dd = before, dmu = before;
  AddProductRow(a.data(), b.data(), n, product.data());
  AddDifferenceRow(a.data(), b.data(), n, difference.data());
  LerpBackRow(a.data(), b.data(), c.data(), n, dx.data(), dd.data(), dmu.data());
  for (size_t i = 0; i < n; ++i) {
    EXPECT_NEAR(product[i], before[i] + double{a[i]} * b[i], 1e-6);
    EXPECT_EQ(difference[i], before[i] + (a[i] - b[i]));
    EXPECT_EQ(dx[i], before[i] + a[i]);
    EXPECT_NEAR(dd[i], before[i] + double{a[i]} * c[i], 1e-6);
    EXPECT_NEAR(dmu[i], before[i] + double{a[i]} * b[i], 1e-6);
  }
}

TEST_P(BackRowsTest, MixesAreShiftAndLerps) {
  for (const size_t n : {1, 16, 77}) {
    for (size_t mixes = 1; mixes <= kMaxMixes; ++mixes) {
      const auto x = Normal(n), last = Normal(n), before = Normal(n);
      std::vector<std::vector<float>> mu, dy, y, dmu;
      std::vector<float> d(n), lerp(n), dx = before, dlast = before;
      SubRow(last.data(), x.data(), n, d.data());
      std::vector<const float*> mu_at, dy_at;
      std::vector<float*> y_at, dmu_at;
      for (size_t m = 0; m < mixes; ++m) {
        mu.push_back(Normal(n));
        dy.push_back(Normal(n));
        y.emplace_back(n);
        dmu.push_back(before);
      }
      for (size_t m = 0; m < mixes; ++m) {
        mu_at.push_back(mu[m].data());
        dy_at.push_back(dy[m].data());
        y_at.push_back(y[m].data());
        dmu_at.push_back(dmu[m].data());
      }
      MixRow(x.data(), last.data(), mu_at.data(), mixes, n, y_at.data());
      MixBackRow(dy_at.data(), x.data(), last.data(), mu_at.data(), mixes, n, dx.data(),
                 dlast.data(), dmu_at.data());
      for (size_t m = 0; m < mixes; ++m) {
        LerpRow(x.data(), d.data(), mu[m].data(), n, lerp.data());
        EXPECT_TRUE(BitEqual(y[m], lerp)) << m;
        for (size_t i = 0; i < n; ++i) {
          EXPECT_NEAR(dmu[m][i], before[i] + double{dy[m][i]} * d[i], 2e-6);
        }
      }
      for (size_t i = 0; i < n; ++i) {
        double own = before[i], back = before[i];
        for (size_t m = 0; m < mixes; ++m) {
          own += double{dy[m][i]} * (1 - mu[m][i]);
          back += double{dy[m][i]} * mu[m][i];
        }
        EXPECT_NEAR(dx[i], own, 1e-5);
        EXPECT_NEAR(dlast[i], back, 1e-5);
      }
    }
  }
}

TEST_P(BackRowsTest, NormsOfGroups) {
  const float eps = 64e-5f;
  for (const size_t size : {2, 7, 64, 100}) {
    const size_t groups = 3, n = groups * size;
    const auto x = Normal(n), dy = Normal(n), gain = Normal(n), before = Normal(n);
    std::vector<float> dx = before, dgain = before, dbias = before;
    std::vector<Moments> moments(groups);
    NormBackRow(x.data(), dy.data(), n, groups, gain.data(), eps, dx.data(), moments.data());
    for (size_t g = 0; g < groups; ++g) {
      const size_t at = g * size;
      double mean = 0, variance = 0, level = 0, along = 0;
      for (size_t i = at; i < at + size; ++i) mean += x[i] / double(size);
      for (size_t i = at; i < at + size; ++i) variance += (x[i] - mean) * (x[i] - mean);
      const double inverse = 1 / std::sqrt(variance / double(size) + eps);
      for (size_t i = at; i < at + size; ++i) {
        level += double{dy[i]} * gain[i] / double(size);
        along += double{dy[i]} * gain[i] * (x[i] - mean) * inverse / double(size);
      }
      NormParamsBackRow(x.data() + at, dy.data() + at, moments[g], size, dgain.data() + at,
                        dbias.data() + at);
      for (size_t i = at; i < at + size; ++i) {
        const double z = (x[i] - mean) * inverse;
        EXPECT_NEAR(dx[i], before[i] + inverse * (double{dy[i]} * gain[i] - level - z * along),
                    1e-5 * (1 + inverse));
        EXPECT_NEAR(dgain[i], before[i] + dy[i] * z, 1e-5);
        EXPECT_EQ(dbias[i], before[i] + dy[i]);
      }
    }
  }
}

TEST_P(BackRowsTest, NormalizedHeads) {
  for (const size_t n : {1, 5, 64}) {
    const auto x = Normal(n), dy = Normal(n);
    std::vector<float> y(n), dx(n);
    NormalizeRow(x.data(), n, 1, y.data());
    NormalizeBackRow(x.data(), y.data(), dy.data(), n, dx.data());
    double square = 0, along = 0;
    for (size_t i = 0; i < n; ++i) square += double{x[i]} * x[i];
    const double length = std::sqrt(square);
    for (size_t i = 0; i < n; ++i) along += dy[i] * x[i] / length;
    for (size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(dx[i], (dy[i] - along * x[i] / length) / length, 2e-5 / length);
    }
  }
  // Where the divisor is the constant 1e-12.
  const std::vector<float> zeros(5), dy(5, 1e-13f);
  std::vector<float> dx(5);
  NormalizeBackRow(zeros.data(), zeros.data(), dy.data(), 5, dx.data());
  for (const float v : dx) EXPECT_NEAR(v, 0.1, 1e-6);
}

TEST_P(BackRowsTest, BonusOfAHead) {
  const size_t n = 37;
  const auto r = Normal(n), k = Normal(n), v = Normal(n), u = Normal(n), g = Normal(n);
  std::vector<float> dy(n), dr(n), dk(n), dv(n), du(n), frozen(n);
  const BonusRows in{r.data(), k.data(), v.data(), u.data(), g.data()};
  BonusBackRow(in, n, {dy.data(), dr.data(), dk.data(), dv.data(), du.data()});
  double s = 0, ds = 0;
  for (size_t i = 0; i < n; ++i) {
    s += double{r[i]} * k[i] * u[i];
    ds += double{g[i]} * v[i];
  }
  for (size_t i = 0; i < n; ++i) {
    EXPECT_EQ(dy[i], g[i]);
    EXPECT_NEAR(dv[i], s * g[i], 3e-5);
    EXPECT_NEAR(dr[i], ds * k[i] * u[i], 3e-5);
    EXPECT_NEAR(dk[i], ds * r[i] * u[i], 3e-5);
    EXPECT_NEAR(du[i], ds * r[i] * k[i], 3e-5);
  }
  BonusBackRow(in, n, {frozen.data(), nullptr, nullptr, nullptr, nullptr});
  EXPECT_TRUE(BitEqual(frozen, dy));
}
LINNET_EACH_ISA(BackRowsTest);

}  // namespace
}  // namespace linnet
