#include "linnet/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>

#include "kernels/isa.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

SamplerOptions Plain() {
  SamplerOptions options;
  options.top_p = 0;
  options.presence_penalty = options.frequency_penalty = 0;
  return options;
}

std::vector<float> RandomLogits(size_t size, float spread) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(size);
  for (float& x : logits) x = normal(random);
  return logits;
}

TEST(SamplerTest, DrawsFollowTheDistribution) {
  SamplerOptions options = Plain();
  options.temperature = 1.3f;
  options.seed = 42;
  const std::vector<float> logits = RandomLogits(20, 1.5f);
  std::vector<double> p;
  double sum = 0;
  for (const float x : logits) sum += p.emplace_back(std::exp(static_cast<double>(x) / 1.3));
  constexpr int kDraws = 200000;
  std::vector<int> counts(logits.size(), 0);
  Sampler sampler(options);
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sampler.Sample(logits))];
  double chi_square = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double expected = kDraws * p[i] / sum;
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT_LT(chi_square, 43.8) << "one in a thousand with 19 degrees of freedom";
  EXPECT_GT(chi_square, 4.0) << "draws too even to be random";
}

TEST(SamplerTest, OneSeedOneText) {
  const std::vector<float> logits = RandomLogits(1000, 2);
  SamplerOptions options;
  options.top_p = 0.9f;
  options.seed = 5;
  Sampler a(options), b(options);
  std::vector<int32_t> first, second;
  for (int i = 0; i < 100; ++i) first.push_back(a.Sample(logits));
  for (int i = 0; i < 50; ++i) second.push_back(b.Sample(logits));
  Sampler fork = b;
  for (int i = 0; i < 50; ++i) second.push_back(fork.Sample(logits));
  EXPECT_EQ(first, second);
  options.seed = 6;
  Sampler other(options);
  std::vector<int32_t> third;
  for (int i = 0; i < 100; ++i) third.push_back(other.Sample(logits));
  EXPECT_NE(first, third);
}

// Logits by whole numbers alone, of a bell of a dozen steps.
std::vector<float> PlainLogits(size_t size) {
  std::vector<float> logits(size);
  uint32_t state = 1;
  for (float& x : logits) {
    int sum = 0;
    for (int i = 0; i < 4; ++i) {
      state = state * 1664525 + 1013904223;
      sum += static_cast<int>(state >> 24);
    }
    x = static_cast<float>(sum) / 64;
  }
  return logits;
}

// On any machine, and with any version: these ids were drawn once.
TEST(SamplerTest, OneSeedOneTextAtEveryLevel) {
  struct Case {
    float temperature, top_p;
    std::vector<int32_t> ids;
  };
  const std::vector<Case> cases = {
      {1.0f,
       0.3f,
       {12775, 5015, 14412, 25054, 4811, 16959, 28955, 50091, 33894, 13114, 3751, 18516}},
      {0.8f,
       0.85f,
       {11992, 4665, 13114, 23627, 4490, 16258, 27306, 50162, 32897, 12475, 3391, 17372}},
      {1.3f,
       0.0f,
       {11414, 4368, 12608, 22767, 4285, 15707, 26277, 50114, 32259, 11834, 3223, 17223}},
  };
  const std::vector<float> logits = PlainLogits(50277);
  for (const Case& c : cases) {
    SamplerOptions options;
    options.temperature = c.temperature;
    options.top_p = c.top_p;
    options.seed = 11;
    for (const Isa isa : SupportedIsas()) {
      ForceIsa(isa);
      Sampler sampler(options);
      std::vector<int32_t> ids;
      for (size_t i = 0; i < c.ids.size(); ++i) ids.push_back(sampler.Sample(logits));
      EXPECT_EQ(ids, c.ids) << Name(isa) << ", top-p " << c.top_p;
    }
    ForceIsa(SupportedIsas().back());
  }
}

// The stream is part of the promise: with even odds over 2^16 ids the draw is
// the first 16 bits of xoshiro256**, seeded by splitmix64(0), as published.
TEST(SamplerTest, RandomStreamIsXoshiroSeededBySplitmix) {
  const auto rotl = [](uint64_t x, int k) { return x << k | x >> (64 - k); };
  uint64_t s[4] = {0xE220A8397B1DCDAFu, 0x6E789E6AA1B965F4u, 0x06C45D188009454Fu,
                   0xF88BB8A8724C81ECu};
  const std::vector<float> logits(65536, 0.0f);
  Sampler sampler(Plain());
  for (int i = 0; i < 20; ++i) {
    const uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3], s[2] ^= t, s[3] = rotl(s[3], 45);
    EXPECT_EQ(sampler.Sample(logits), static_cast<int32_t>(result >> 48));
  }
}

TEST(SamplerTest, ZeroTemperatureTakesTheLowestOfTheLikeliest) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  Sampler sampler(options);
  EXPECT_EQ(sampler.Sample(std::vector<float>{NAN, 1, 3, 3, NAN, 3}), 2);
  EXPECT_EQ(sampler.Sample(std::vector<float>{-kInfinity, -5}), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{0, kInfinity, kInfinity}), 1);
}

TEST(SamplerTest, WithoutAChanceForAnyTokenItSaysSo) {
  SamplerOptions options = Plain();
  options.logit_bias = {{0, -kInfinity}};
  Sampler sampler(options);
  EXPECT_THROW(sampler.Sample(std::vector<float>{1, NAN, -kInfinity}), Error);
  EXPECT_THROW(sampler.Sample({}), Error);
}

TEST(SamplerTest, BiasMovesAndBansTokens) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  options.logit_bias = {{0, -kInfinity}, {2, 2.5f}, {1000, 1.0f}};
  Sampler sampler(options);
  EXPECT_EQ(sampler.Sample(std::vector<float>{9, 3, 1}), 2);
  options.temperature = 1;
  Sampler warm(options);
  for (int i = 0; i < 200; ++i) EXPECT_NE(warm.Sample(std::vector<float>{50, 3, 1}), 0);
}

// The weights may take the place of the biased logits, or not.
// All options, because each filter runs on what the mask left.
TEST(SamplerTest, MaskActsAsABiasOfMinusInfinity) {
  std::vector<SamplerOptions> all(7, Plain());
  all[1].temperature = 0;
  all[2].top_p = 0.7f;
  all[3].top_k = 3;
  all[3].temperature = 2;
  all[4].typical = 0.5f;
  all[4].min_p = 0.01f;
  all[5].mirostat = Mirostat();
  all[6] = SamplerOptions();
  std::mt19937 random(3);
  for (const size_t vocab : {5, 64, 1000}) {
    const std::vector<float> logits = RandomLogits(vocab, 3);
    for (const SamplerOptions& options : all) {
      std::vector<uint64_t> allowed((vocab + 63) / 64);
      SamplerOptions banned = options;
      for (size_t id = 0; id < vocab; ++id) {
        if (random() % 4 == 0 || id == vocab - 1) {
          allowed[id / 64] |= uint64_t{1} << id % 64;
        } else {
          banned.logit_bias[static_cast<int32_t>(id)] = -kInfinity;
        }
      }
      Sampler masked(options), biased(banned);
      for (int i = 0; i < 50; ++i) {
        const int32_t token = masked.Sample(logits, allowed);
        ASSERT_EQ(token, biased.Sample(logits));
        ASSERT_TRUE(allowed[static_cast<size_t>(token) / 64] >> token % 64 & 1);
      }
    }
  }
}

TEST(SamplerTest, MaskThatIsEmptyOrShortAllowsNothingElse) {
  Sampler sampler(Plain());
  const std::vector<float> logits(100, 1);
  EXPECT_THROW(sampler.Sample(logits, {}), Error);
  EXPECT_THROW(sampler.Sample(logits, std::vector<uint64_t>(2)), Error);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(sampler.Sample(logits, std::vector<uint64_t>{2}), 1);
  EXPECT_THROW(sampler.Sample(std::vector<float>(3, NAN), std::vector<uint64_t>{7}), Error);
}

TEST(SamplerTest, BiasActsAsIfItStoodInTheLogits) {
  for (const size_t size : {50u, 30000u}) {
    for (int kind = 0; kind < 6; ++kind) {
      SamplerOptions options = Plain();
      options.top_p = 0.85f;
      options.seed = 3;
      if (kind == 1) options.temperature = 0.7f;
      if (kind == 2) options.typical = 0.9f;
      if (kind == 3) options.temperature = 1.3f, options.order = SamplingOrder::kOpenAI;
      if (kind == 4) options.mirostat = Mirostat();
      if (kind == 5) options.temperature = 0;
      const std::vector<float> logits = RandomLogits(size, 1);
      std::vector<float> moved = logits;
      SamplerOptions biased = options;
      for (size_t i = 0; i < size; i += 7) {
        const float bias = static_cast<float>(i % 5) - 2;
        biased.logit_bias[static_cast<int32_t>(i)] = bias;
        moved[i] += bias;
      }
      Sampler a(options), b(biased);
      for (int i = 0; i < 30; ++i) EXPECT_EQ(a.Sample(moved), b.Sample(logits)) << size << kind;
    }
  }
}

// How far the logit of `token` is lowered: the bias that just makes up for it.
double Penalty(Sampler sampler, int32_t token) {
  SamplerOptions greedy = sampler.options();
  double low = -50, high = 50;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    std::vector<float> logits(8, -1000.0f);
    logits[7] = 0;
    logits[static_cast<size_t>(token)] = static_cast<float>(middle);
    Sampler copy = sampler;
    (copy.Sample(logits) == token ? high : low) = middle;
  }
  return low;
}

TEST(SamplerTest, RwkvPenaltiesStepByStep) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  options.presence_penalty = 0.5f;
  options.frequency_penalty = 0.25f;
  options.penalty_decay = 0.5f;
  Sampler sampler(options);
  EXPECT_NEAR(Penalty(sampler, 3), 0, 1e-5);
  sampler.Accept(3);  // occurrences 1
  EXPECT_NEAR(Penalty(sampler, 3), 0.5 + 0.25, 1e-5);
  EXPECT_NEAR(Penalty(sampler, 2), 0, 1e-5);
  sampler.Accept(2);  // 3: 1/2, 2: 1
  EXPECT_NEAR(Penalty(sampler, 3), 0.5 + 0.125, 1e-5);
  EXPECT_NEAR(Penalty(sampler, 2), 0.5 + 0.25, 1e-5);
  sampler.Accept(3);  // 3: 1/4 + 1, 2: 1/2
  EXPECT_NEAR(Penalty(sampler, 3), 0.5 + 0.25 * 1.25, 1e-5);
  for (int i = 0; i < 60; ++i) sampler.Accept(6);
  EXPECT_NEAR(Penalty(sampler, 3), 0.5, 1e-5);  // presence stays
  sampler.Reset();
  EXPECT_NEAR(Penalty(sampler, 3), 0, 1e-5);
}

TEST(SamplerTest, Ai00PenaltiesStepByStep) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  options.penalty = PenaltyKind::kAi00;
  options.presence_penalty = 0.5f;
  options.frequency_penalty = 0.125f;
  options.penalty_decay = 0.5f;
  Sampler sampler(options);
  sampler.Accept(3);  // presence alone
  EXPECT_NEAR(Penalty(sampler, 3), 0.5, 1e-5);
  sampler.Accept(3);  // 0.5 / 2 + frequency
  EXPECT_NEAR(Penalty(sampler, 3), 0.25 + 0.125, 1e-5);
  sampler.Accept(2);  // presence decays too
  EXPECT_NEAR(Penalty(sampler, 3), 0.1875, 1e-5);
}

TEST(SamplerTest, SampledTokensCountForThePenalties) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  options.presence_penalty = 2;
  Sampler sampler(options);
  const std::vector<float> logits = {3, 2, 1.5f};
  EXPECT_EQ(sampler.Sample(logits), 0);
  EXPECT_EQ(sampler.Sample(logits), 1);
  EXPECT_EQ(sampler.Sample(logits), 2);
  EXPECT_EQ(sampler.Sample(logits), 0);
}

TEST(SamplerTest, DigitsAndBlanksAreSeenButNotCounted) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  options.presence_penalty = 0.5f;
  options.frequency_penalty = 0.25f;
  class Words final : public Tokenizer {
   public:
    std::vector<int32_t> Encode(std::string_view) const override { return {}; }
    std::string_view Bytes(int32_t id) const override {
      static constexpr std::string_view kWords[] = {"", "7", " ", "\t0", "10", "a", "\n", "x"};
      return kWords[id];
    }
    size_t size() const override { return 8; }
    const char* name() const override { return "words"; }
  };
  Sampler sampler(options, std::make_shared<Words>());
  for (int32_t id = 0; id < 7; ++id) {
    Sampler once = sampler;
    once.Accept(id);
    // "10" is no part of " \t0123456789", as in ChatRWKV.
    EXPECT_NEAR(Penalty(once, id), id < 4 ? 0.5 : 0.75, 1e-5) << id;
  }
}

// Which ids come up in many draws of forks of one sampler.
std::vector<int32_t> Reachable(const SamplerOptions& options, const std::vector<float>& logits,
                               const std::vector<std::vector<float>>& before = {}) {
  std::vector<bool> seen(logits.size(), false);
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SamplerOptions seeded = options;
    seeded.seed = seed;
    Sampler sampler(seeded);
    for (const auto& step : before) sampler.Sample(step);
    seen[static_cast<size_t>(sampler.Sample(logits))] = true;
  }
  std::vector<int32_t> ids;
  for (size_t i = 0; i < seen.size(); ++i) {
    if (seen[i]) ids.push_back(static_cast<int32_t>(i));
  }
  return ids;
}

// Logits of tokens of these surprises; a first token has the rest of the odds.
std::vector<float> OfBits(const std::vector<double>& bits) {
  double rest = 1;
  for (const double b : bits) rest -= std::exp2(-b);
  std::vector<float> logits = {static_cast<float>(std::log(rest))};
  for (const double b : bits) logits.push_back(static_cast<float>(-b * std::log(2.0)));
  return logits;
}

TEST(SamplerTest, MirostatCutsAtItsLimitAndKeepsOneMore) {
  SamplerOptions options;
  options.mirostat = {.tau = 2.0f, .rate = 0.5f};
  options.top_k = 1;  // replaced
  options.presence_penalty = 100;
  // The limit starts at 2 tau = 4 bits.
  EXPECT_EQ(Reachable(options, OfBits({3.9, 4.1, 4.2, 3.8})), (std::vector<int32_t>{0, 1, 2, 4}));
  // What was cut has no odds: 1/2, 1/4 and 1/8 of the 7/8 that stay.
  options.mirostat->tau = 1.01f;
  const std::vector<float> logits = OfBits({2, 3, 4, 4});
  std::vector<int> counts(5, 0);
  for (options.seed = 0; options.seed < 20000; ++options.seed) {
    ++counts[static_cast<size_t>(Sampler(options).Sample(logits))];
  }
  EXPECT_EQ(counts[3] + counts[4], 0);
  EXPECT_NEAR(counts[0] / 20000.0, 4.0 / 7, 0.02);
  EXPECT_NEAR(counts[2] / 20000.0, 1.0 / 7, 0.02);
}

TEST(SamplerTest, MirostatMovesItsLimitByTheSurprise) {
  SamplerOptions options;
  options.mirostat = {.tau = 2.0f, .rate = 0.5f};
  // One of 8 even tokens: 3 bits, so the limit goes from 4 to 4 - (3 - 2) / 2.
  const std::vector<float> even(8, 0.0f);
  EXPECT_EQ(Reachable(options, OfBits({3.4, 3.6, 3.7}), {even}), (std::vector<int32_t>{0, 1, 2}));
  // No surprise raises it, but not past 4 tau = 8.
  options.mirostat->rate = 100;
  EXPECT_EQ(Reachable(options, OfBits({7.9, 8.1, 8.2}), {{0, -200}, {0, -200}}),
            (std::vector<int32_t>{0, 1, 2}));
}

TEST(SamplerTest, OptionsOutOfRangeAreNamed) {
  const auto message = [](const std::function<void(SamplerOptions&)>& set) -> std::string {
    SamplerOptions options;
    set(options);
    try {
      Sampler sampler(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message([](auto&) {}), "");
  EXPECT_EQ(message([](auto& o) { o.temperature = -1; }),
            "temperature -1 is out of range, expected 0 or more");
  EXPECT_NE(message([](auto& o) { o.temperature = NAN; }), "");
  EXPECT_NE(message([](auto& o) { o.top_p = 1.5f; }), "");
  EXPECT_NE(message([](auto& o) { o.top_k = -1; }), "");
  EXPECT_NE(message([](auto& o) { o.min_p = NAN; }), "");
  EXPECT_NE(message([](auto& o) { o.typical = -0.1f; }), "");
  EXPECT_NE(message([](auto& o) { o.mirostat = {.tau = 0, .rate = 0.1f}; }), "");
  EXPECT_NE(message([](auto& o) { o.presence_penalty = kInfinity; }), "");
  EXPECT_NE(message([](auto& o) { o.frequency_penalty = NAN; }), "");
  EXPECT_NE(message([](auto& o) { o.penalty_decay = 1.1f; }), "");
  EXPECT_NE(message([](auto& o) { o.logit_bias = {{1, NAN}}; }), "");
  EXPECT_NE(message([](auto& o) { o.logit_bias = {{-1, 0.0f}}; }), "");
}

}  // namespace
}  // namespace linnet
