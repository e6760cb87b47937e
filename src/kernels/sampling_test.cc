#include "kernels/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/each_isa.h"

namespace linnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class SamplingRowsTest : public EachIsa {};

// At the current level and at the portable one.
template <class F>
void ExpectPortableBits(const F& row) {
  const std::vector<float> here = row();
  const Isa isa = CurrentIsa();
  ForceIsa(Isa::kPortable);
  const std::vector<float> portable = row();
  ForceIsa(isa);
  EXPECT_TRUE(BitEqual(here, portable));
}

TEST_P(SamplingRowsTest, WeightsAreWithinTwoPartsAndTheSameBitsEverywhere) {
  std::vector<float> x;
  for (float at = 0; at > -86.9f; at -= 0.0137f) x.push_back(at);
  const auto weights = [&] {
    std::vector<float> y(x.size());
    WeighRow(x.data(), x.size(), 0, 1, y.data());
    return y;
  };
  const std::vector<float> y = weights();
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    EXPECT_NEAR(static_cast<double>(y[i]) / exact, 1, 2e-7) << x[i];
  }
  ExpectPortableBits(weights);
  x = {0, -88, -kInfinity, NAN};
  EXPECT_EQ(weights(), (std::vector<float>{1, 0, 0, 0}));
}

TEST_P(SamplingRowsTest, WeighingIsBelowTheTopByTheTemperatureAndAddsUp) {
  for (const size_t n : {0u, 1u, 15u, 16u, 17u, 1003u}) {
    const std::vector<float> x = Normal(n, 3);
    for (const float temperature : {1.0f, 0.7f, 1.9f}) {
      const auto weights = [&] {
        std::vector<float> y = x;  // in place
        const double sum = WeighRow(y.data(), n, 9.5f, temperature, y.data());
        EXPECT_EQ(sum, SumWeights(y.data(), n)) << n;
        return y;
      };
      const std::vector<float> y = weights();
      for (size_t i = 0; i < n; ++i) {
        float one = (x[i] - 9.5f) / temperature;
        WeighRow(&one, 1, 0, 1, &one);
        EXPECT_EQ(y[i], one) << n;
      }
      ExpectPortableBits(weights);
    }
  }
}

TEST_P(SamplingRowsTest, SumsOfBlocksLeaveOutWhatIsTooLight) {
  for (const size_t n :
       {size_t{0}, size_t{1}, size_t{17}, kSumBlock, kSumBlock + 1, 3 * kSumBlock - 9}) {
    std::vector<float> x = Normal(n);
    if (n > 3) x[3] = NAN;
    for (const float least : {0.0f, 0.5f, 9.0f}) {
      const size_t blocks = (n + kSumBlock - 1) / kSumBlock;
      std::vector<double> sums(blocks + 1, -7);
      SumBlocks(x.data(), n, least, sums.data());
      EXPECT_EQ(sums[blocks], -7);
      std::vector<float> left = x;
      for (float& value : left) value = value >= least ? value : 0;
      for (size_t b = 0; b < blocks; ++b) {
        const size_t at = b * kSumBlock;
        EXPECT_EQ(sums[b], SumWeights(left.data() + at, std::min(kSumBlock, n - at)));
      }
    }
  }
}

TEST_P(SamplingRowsTest, TheSumAboveAndTheValuesBetweenAreExact) {
  for (const size_t n : {0u, 1u, 15u, 16u, 17u, 64u, 1003u}) {
    std::vector<float> x = Normal(n);
    if (n > 9) x[9] = NAN;
    if (n > 14) x[13] = -0.5f, x[14] = 0.75f;
    for (const auto& [low, high] : {std::pair(-0.5f, 0.75f), {-0.5f, 9.0f}, {9.0f, 10.0f}}) {
      std::vector<float> heavy = x, middle, found(n);
      for (float& value : heavy) value = value >= high ? value : 0;
      for (const float value : x) {
        if (value >= low && value < high) middle.push_back(value);
      }
      const SumAbove split = SumAboveRow(x.data(), n, low, high, found.data());
      EXPECT_EQ(split.above, SumWeights(heavy.data(), n));
      ASSERT_EQ(split.between, middle.size());
      found.resize(split.between);
      EXPECT_EQ(found, middle);
    }
  }
}

TEST_P(SamplingRowsTest, SumsOfWeightsAreTheSameBitsEverywhere) {
  for (const size_t n : {0u, 1u, 15u, 16u, 63u, 64u, 65u, 1000u}) {
    std::vector<float> x = Normal(n, 1e-3f);
    for (float& value : x) value = std::abs(value);
    double exact = 0;
    for (const float value : x) exact += static_cast<double>(value);
    const double sum = SumWeights(x.data(), n);
    EXPECT_NEAR(sum, exact, 1.2e-7 * exact) << n;
    const Isa isa = CurrentIsa();
    ForceIsa(Isa::kPortable);
    EXPECT_EQ(sum, SumWeights(x.data(), n)) << n;
    ForceIsa(isa);
  }
}

TEST_P(SamplingRowsTest, ExtremesAreThoseOfAllValues) {
  for (const size_t n : {1u, 15u, 16u, 17u, 100u}) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<float> x = Normal(n);
      x[at] = 9;
      x[n - 1 - at] = -9;
      const auto [least, most] = MinMaxOf(x.data(), n);
      EXPECT_EQ(least, -9);
      EXPECT_EQ(most, *std::max_element(x.begin(), x.end()));
    }
  }
}

TEST_P(SamplingRowsTest, KeptTokensAreCompacted) {
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

LINNET_EACH_ISA(SamplingRowsTest);

}  // namespace
}  // namespace linnet
