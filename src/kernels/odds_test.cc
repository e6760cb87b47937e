#include "kernels/odds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/each_isa.h"

namespace linnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class OddsTest : public EachIsa {};

// Of the level in force and of the portable one.
template <class F>
void ExpectPortableBits(const F& row) {
  const std::vector<float> here = row();
  const Isa isa = CurrentIsa();
  ForceIsa(Isa::kPortable);
  const std::vector<float> portable = row();
  ForceIsa(isa);
  EXPECT_TRUE(BitEqual(here, portable));
}

TEST_P(OddsTest, ExpIsWithinTwoPartsAndTheSameBitsEverywhere) {
  std::vector<float> x;
  for (float at = 0; at > -86.9f; at -= 0.0137f) x.push_back(at);
  const auto exp = [&] {
    std::vector<float> y(x.size());
    NegativeExpRow(x.data(), x.size(), y.data());
    return y;
  };
  const std::vector<float> y = exp();
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    EXPECT_NEAR(static_cast<double>(y[i]) / exact, 1, 2e-7) << x[i];
  }
  ExpectPortableBits(exp);
  x = {0, -88, -kInfinity, NAN};
  EXPECT_EQ(exp(), (std::vector<float>{1, 0, 0, 0}));
}

TEST_P(OddsTest, LogitsBelowTheTopAreTheSameBitsEverywhere) {
  const std::vector<float> x = Normal(1003, 3);
  for (const float temperature : {1.0f, 0.7f, 1.9f}) {
    const auto below = [&] {
      std::vector<float> y(x.size());
      BelowTopRow(x.data(), x.size(), 9.5f, temperature, y.data());
      return y;
    };
    EXPECT_EQ(below()[7], (x[7] - 9.5f) / temperature);
    ExpectPortableBits(below);
  }
}

TEST_P(OddsTest, SumsInDoubleAreTheSameBitsEverywhere) {
  for (const size_t n : {0u, 1u, 15u, 16u, 17u, 1000u}) {
    const std::vector<float> x = Normal(n, 1e-3f);
    double exact = 0;
    for (const float value : x) exact += static_cast<double>(value);
    const double sum = SumInDouble(x.data(), n);
    EXPECT_NEAR(sum, exact, 1e-14 * static_cast<double>(n)) << n;
    const Isa isa = CurrentIsa();
    ForceIsa(Isa::kPortable);
    EXPECT_EQ(sum, SumInDouble(x.data(), n)) << n;
    ForceIsa(isa);
  }
}

TEST_P(OddsTest, ExtremesAreThoseOfAllValues) {
  for (const size_t n : {1u, 15u, 16u, 17u, 100u}) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<float> x = Normal(n);
      x[at] = 9;
      x[n - 1 - at] = -9;
      const auto [least, most] = ExtremesOf(x.data(), n);
      EXPECT_EQ(least, -9);
      EXPECT_EQ(most, *std::max_element(x.begin(), x.end()));
    }
  }
}

TEST_P(OddsTest, KeptTokensCloseRanks) {
  for (const size_t n : {0u, 1u, 15u, 16u, 17u, 64u, 1003u}) {
    for (const float least : {-kInfinity, -1.0f, 0.0f, 2.0f, kInfinity}) {
      std::vector<float> weight = Normal(n);
      if (n > 9) weight[9] = NAN;
      if (n > 11) weight[11] = least;
      std::vector<int32_t> id(n), ids;
      std::iota(id.begin(), id.end(), 100);
      std::vector<float> weights;
      for (size_t i = 0; i < n; ++i) {
        if (!(weight[i] >= least)) continue;
        ids.push_back(id[i]);
        weights.push_back(weight[i]);
      }
      std::vector<float> fresh = weight;
      std::vector<int32_t> found(n, -1);
      const size_t kept = KeepAtLeast(least, n, id.data(), weight.data());
      EXPECT_EQ(FindAtLeast(least, n, found.data(), fresh.data()), kept);
      id.resize(kept), weight.resize(kept), fresh.resize(kept), found.resize(kept);
      EXPECT_EQ(id, ids) << n;
      EXPECT_EQ(weight, weights) << n;
      EXPECT_EQ(fresh, weights) << n;
      for (int32_t& token : found) token += 100;
      EXPECT_EQ(found, ids) << n;
    }
  }
}

LINNET_EACH_ISA(OddsTest);

}  // namespace
}  // namespace linnet
