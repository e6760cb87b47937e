#include "text/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>

namespace linnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The same distribution by definition, in doubles, by sorting. Nothing here is
// shared with the code under test.
std::vector<std::pair<int32_t, double>> Oracle(const SamplerOptions& o,
                                               const std::vector<float>& logits) {
  struct Token {
    int32_t id;
    double x, p;
  };
  const bool first = o.order == SamplingOrder::kOpenAI;
  std::vector<Token> tokens;
  double largest = -1e300, sum = 0;
  for (const float x : logits) {
    if (!std::isnan(x)) largest = std::max(largest, static_cast<double>(x));
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) continue;
    double x = static_cast<double>(logits[i]) - largest;
    if (first) x /= static_cast<double>(o.temperature);
    if (x < -87) continue;
    tokens.push_back({static_cast<int32_t>(i), x, std::exp(x)});
    sum += std::exp(x);
  }
  for (Token& t : tokens) t.p /= sum;
  const auto sort_by = [&](auto key) {
    std::stable_sort(tokens.begin(), tokens.end(),
                     [&](const Token& a, const Token& b) { return key(a) < key(b); });
  };
  // Keeps up to the first token where the shares reach `mass`, and its ties.
  const auto keep = [&](double mass, auto key) {
    double total = 0;
    size_t n = 0;
    while (n < tokens.size() && total < mass) total += tokens[n++].p;
    while (n < tokens.size() && key(tokens[n]) == key(tokens[n - 1])) ++n;
    tokens.resize(n);
  };
  const auto by_p = [](const Token& t) { return -t.p; };
  sort_by(by_p);
  if (o.top_p > 0 && o.top_p < 1) keep(static_cast<double>(o.top_p), by_p);
  if (o.top_k > 0 && tokens.size() > static_cast<size_t>(o.top_k)) {
    tokens.resize(static_cast<size_t>(o.top_k));
  }
  const double least = static_cast<double>(o.min_p) * tokens[0].p;
  std::erase_if(tokens, [&](const Token& t) { return t.p < least; });
  if (o.typical > 0 && o.typical < 1) {
    double entropy = 0, share = 0;
    for (const Token& t : tokens) share += t.p;
    for (Token& t : tokens) {
      t.p /= share;
      entropy -= t.p * std::log(t.p);
    }
    const auto distance = [&](const Token& t) {
      return std::round(std::abs(-std::log(t.p) - entropy) * 1e9);
    };
    sort_by(distance);
    keep(static_cast<double>(o.typical), distance);
  }
  double rest = 0;
  for (Token& t : tokens) {
    t.p = first ? t.p : std::pow(t.p, 1 / static_cast<double>(o.temperature));
    rest += t.p;
  }
  sort_by([](const Token& t) { return t.id; });
  std::vector<std::pair<int32_t, double>> out;
  for (const Token& t : tokens) out.emplace_back(t.id, t.p / rest);
  return out;
}

void ExpectOracle(const SamplerOptions& options, const std::vector<float>& logits,
                  const std::string& what) {
  Candidates left;
  Distribution(options, logits, Largest(logits), left);
  Compact(left);
  const auto expected = Oracle(options, logits);
  ASSERT_EQ(left.size, expected.size()) << what;
  double sum = 0;
  for (size_t i = 0; i < left.size; ++i) sum += static_cast<double>(left.weight[i]);
  for (size_t i = 0; i < left.size; ++i) {
    EXPECT_EQ(left.id[i], expected[i].first) << what;
    EXPECT_NEAR(static_cast<double>(left.weight[i]) / sum, expected[i].second, 1e-6) << what;
  }
}

std::vector<float> RandomLogits(size_t size, float spread, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(size);
  for (float& x : logits) x = normal(random);
  return logits;
}

TEST(CandidatesTest, EveryCutAndOrderAgreesWithTheDefinition) {
  int cases = 0;
  for (const auto& set : std::vector<std::function<void(SamplerOptions&, float)>>{
           [](SamplerOptions&o, float x) { o.top_p = x; },
           [](SamplerOptions&o, float x) { o.top_k = static_cast<int>(x * 100); },
           [](SamplerOptions&o, float x) { o.min_p = x; },
           [](SamplerOptions&o, float x) { o.typical = x; },
           [](SamplerOptions&o, float x) { o.top_p = o.typical = x, o.top_k = 40, o.min_p = .01f; },
       }) {
    for (const float x : {0.0f, 0.05f, 0.3f, 0.5f, 0.85f, 0.99f, 1.0f}) {
      for (const float temperature : {0.3f, 1.0f, 1.7f}) {
        for (const auto order : {SamplingOrder::kRwkv, SamplingOrder::kOpenAI}) {
          for (const float spread : {0.01f, 1.0f, 5.0f, 30.0f}) {
            SamplerOptions options;
            options.top_p = 0;
            options.temperature = temperature;
            options.order = order;
            set(options, x);
            for (const size_t size : {1u, 2u, 50u, 1000u}) {
              ExpectOracle(options, RandomLogits(size, spread, static_cast<uint32_t>(cases)),
                           std::to_string(cases));
              ++cases;
              if (HasFatalFailure()) return;
            }
          }
        }
      }
    }
  }
}

TEST(CandidatesTest, TiesOfTheLastStayInTopPAndTheLowestIdsInTopK) {
  // Probabilities 1/2, 1/8 x 4, exact in binary.
  const float low = static_cast<float>(-std::log(4.0));
  const std::vector<float> logits = {low, low, 0, low, low};
  SamplerOptions options;
  const auto ids = [&] {
    Candidates left;
    Distribution(options, logits, Largest(logits), left);
    Compact(left);
    std::vector<int32_t> out;
    out.assign(left.id.begin(), left.id.begin() + static_cast<ptrdiff_t>(left.size));
    return out;
  };
  options.top_p = 0.4f;
  EXPECT_EQ(ids(), (std::vector<int32_t>{2}));
  options.top_p = 0.6f;
  EXPECT_EQ(ids(), (std::vector<int32_t>{0, 1, 2, 3, 4}));
  options.top_k = 3;
  EXPECT_EQ(ids(), (std::vector<int32_t>{0, 1, 2}));
}

TEST(CandidatesTest, HalfIsReachedByExactlyHalf) {
  const std::vector<float> logits(64, 1.5f);
  Candidates left;
  Weigh(logits, 1.5f, 1, 0, left);
  EXPECT_EQ(left.sum, 64);
  left.weight[0] = 64;  // of 127
  FilterTopP(64, left);
  EXPECT_EQ(left.size, 1u);
}

// Logits of a vocabulary wide enough to be judged by a sample, flat enough to leave most of it.
std::vector<float> FlatLogits(size_t size, float spread, uint32_t seed) {
  std::vector<float> logits = RandomLogits(size, spread, seed);
  for (size_t i = 5; i < size; i += 1009) logits[i] = NAN;
  for (size_t i = 6; i < size; i += 1013) logits[i] = -kInfinity;
  return logits;
}

TEST(CandidatesTest, WideVocabulariesAgreeWithTheDefinition) {
  uint32_t seed = 0;
  for (const size_t size : {4095u, 4096u, 4111u, 65536u}) {
    for (const float spread : {0.02f, 0.6f, 1.5f, 3.0f}) {
      for (const float top_p : {0.02f, 0.3f, 0.85f, 0.999f}) {
        SamplerOptions options;
        options.top_p = top_p;
        options.min_p = ++seed % 3 == 0 ? 0.2f : 0.0f;
        options.top_k = seed % 5 == 0 ? 700 : 0;
        options.temperature = seed % 2 == 0 ? 1.0f : 1.4f;
        options.order = seed % 4 < 2 ? SamplingOrder::kRwkv : SamplingOrder::kOpenAI;
        ExpectOracle(options, FlatLogits(size, spread, seed), std::to_string(seed));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(CandidatesTest, TiesInWideVocabulariesStay) {
  SamplerOptions options;
  options.top_p = 0.85f;
  ExpectOracle(options, std::vector<float>(65536, -3.25f), "all equal");
  for (const float steps : {1.0f, 4.0f, 64.0f}) {
    std::vector<float> logits = FlatLogits(65536, 1, 3);
    for (float& x : logits) x = std::floor(x * steps) / steps;
    ExpectOracle(options, logits, std::to_string(steps));
  }
}

// Of every 256 the first sixteen are looked at to guess where the cut will be.
TEST(CandidatesTest, AMisleadingSampleChangesNothing) {
  SamplerOptions options;
  options.top_p = 0.6f;
  for (const float shift : {-1.5f, 0.0f, 0.5f, 1.5f}) {
    std::vector<float> logits = FlatLogits(16384, 0.5f, 9);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] += i % 256 < 16 ? shift : 0.0f;
    ExpectOracle(options, logits, std::to_string(shift));
    Candidates left;
    Distribution(options, logits, Largest(logits), left);
    EXPECT_EQ(left.masked, shift == 0) << shift;
  }
}

TEST(CandidatesTest, AListOfFewTokensIsCompacted) {
  SamplerOptions options;
  options.top_p = 0.85f;
  Candidates left;
  const std::vector<float> peaked = FlatLogits(65536, 8, 4);
  Distribution(options, peaked, Largest(peaked), left);
  EXPECT_FALSE(left.masked);
  const std::vector<float> few = FlatLogits(1000, 0.1f, 4);
  Distribution(options, few, Largest(few), left);
  EXPECT_FALSE(left.masked);
}

TEST(CandidatesTest, AMaskedListDrawsTheSameTokensAsACompactOne) {
  std::vector<float> logits = FlatLogits(65536, 0.6f, 5);
  for (size_t i = 0; i < 2000; ++i) logits[i] = logits[logits.size() - 1 - i] = -9;
  for (const float top_p : {0.3f, 0.85f, 0.0f}) {
    SamplerOptions options;
    options.top_p = top_p;
    Candidates masked, compact;
    Distribution(options, logits, Largest(logits), masked);
    Distribution(options, logits, Largest(logits), compact);
    Compact(compact);
    ASSERT_TRUE(masked.masked);
    for (double share = 0; share < 1; share += 1.0 / 3001) {
      const Drawn a = DrawAt(share, masked), b = DrawAt(share, compact);
      EXPECT_EQ(masked.token(a.at), compact.token(b.at)) << share;
      EXPECT_NEAR(a.sum / b.sum, 1, 1e-8);
    }
    const int32_t last = masked.token(DrawAt(std::nextafter(1.0, 0.0), masked).at);
    EXPECT_EQ(last, compact.id[compact.size - 1]);
    // Further than any share leads, but for rounding.
    EXPECT_EQ(masked.token(DrawAt(1.5, masked).at), last);
    EXPECT_EQ(compact.token(DrawAt(1.5, compact).at), last);
  }
}

TEST(CandidatesTest, BannedAndBrokenLogitsAreNeverLeft) {
  SamplerOptions options;
  options.top_p = 0;
  const std::vector<float> logits = {-kInfinity, NAN, 3, -200, 2, NAN, -kInfinity};
  ExpectOracle(options, logits, "");
  Candidates left;
  Distribution(options, logits, Largest(logits), left);
  Compact(left);
  EXPECT_EQ(left.size, 2u);
}

TEST(CandidatesTest, ArgMaxIsTheFirstOfTheLargest) {
  for (const size_t size : {1u, 15u, 16u, 17u, 100u}) {
    for (size_t at = 0; at < size; ++at) {
      std::vector<float> logits(size, -1);
      logits[at] = logits[size - 1] = 2;
      if (at > 0) logits[at - 1] = NAN;
      EXPECT_EQ(ArgMax(logits), static_cast<int32_t>(at));
    }
  }
}

}  // namespace
}  // namespace linnet
