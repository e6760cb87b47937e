// New models against the reference trainers: sizes, check values, and what orthogonal means.
#include "models/init.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/each_isa.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/goldens.h"
#include "models/init_orthogonal.h"
#include "models/names.h"

namespace linnet {
namespace {

using goldens::Data;

constexpr Generation kAll[] = {Generation::k4,  Generation::k50, Generation::k51,
                               Generation::k52, Generation::k6,  Generation::k7};

size_t Count(const InitSizes& sizes) {
  size_t n = 0;
  for (const ParameterSpec& p : NewParameters(NewConfig(sizes))) n += p.elements();
  return n;
}

std::vector<float> Fill(const ParameterSpec& p, Filling filling = Filling::kReference,
                        uint64_t seed = 1, size_t threads = 2) {
  ThreadPool pool(threads);
  std::vector<float> values(p.elements());
  FillParameter(p, filling, seed, pool, values.data());
  return values;
}

// The counts of released files, without the first layer's v0, v1, v2.
TEST(NewConfig, CountsAreThoseOfTheReleasedModels) {
  const auto v7 = [](size_t layers, size_t width) {
    return Count({.generation = Generation::k7, .layers = layers, .width = width});
  };
  EXPECT_EQ(v7(12, 768), 191'034'624u);
  EXPECT_EQ(v7(24, 1024), 450'767'872u);
  EXPECT_EQ(v7(24, 2048), 1'527'404'544u);
  EXPECT_EQ(v7(32, 2560), 2'947'735'040u);
  const auto v6 = [](Generation generation) {
    return Count({.generation = generation, .layers = 32, .width = 4096});
  };
  EXPECT_EQ(v6(Generation::k6), 7'635'746'816u);
  EXPECT_EQ(v6(Generation::k6moe), 7'635'746'816u + 32ull * 8 * 2 * 4096 * 14336);
}

TEST(NewConfig, OnlyAMixtureHasExperts) {
  const auto config = [](Generation generation, size_t layers, size_t experts) {
    return NewConfig({.generation = generation, .layers = layers, .width = 64, .experts = experts});
  };
  EXPECT_EQ(config(Generation::k6moe, 40, 0).experts, 8u);
  EXPECT_EQ(config(Generation::k6moe, 2, 3).experts, 3u);
  EXPECT_EQ(config(Generation::k7, 2, 0).experts, 0u);
  EXPECT_THROW(config(Generation::k6, 2, 3), Error);
  EXPECT_THROW(config(Generation::k6moe, 2, 1025), Error);
  EXPECT_THROW(config(Generation::k6moe, 41, 3), Error);  // the routing is not known
}

TEST(NewConfig, RanksFollowTheTableOrTheTrainer) {
  const auto ranks = [](size_t width, RankRule rule) {
    const auto c = NewConfig({.layers = 1, .width = width, .ranks = rule});
    return std::vector<size_t>{c.ranks.at("w"), c.ranks.at("a"), c.ranks.at("v"), c.ranks.at("g")};
  };
  using Ranks = std::vector<size_t>;
  EXPECT_EQ(ranks(768, RankRule::kReleased), (Ranks{64, 64, 32, 128}));
  EXPECT_EQ(ranks(1024, RankRule::kReleased), (Ranks{64, 64, 32, 128}));
  EXPECT_EQ(ranks(2048, RankRule::kReleased), (Ranks{96, 96, 64, 256}));
  EXPECT_EQ(ranks(2560, RankRule::kReleased), (Ranks{96, 96, 64, 320}));
  EXPECT_EQ(ranks(4096, RankRule::kReleased), (Ranks{128, 128, 96, 480}));
  EXPECT_EQ(ranks(768, RankRule::kTrain), (Ranks{64, 64, 32, 128}));
  EXPECT_EQ(ranks(1024, RankRule::kTrain), (Ranks{64, 64, 64, 160}));  // 2.5 steps round to 2
  const auto v6 = [](size_t width) {
    return NewConfig({.generation = Generation::k6, .layers = 1, .width = width}).ranks;
  };
  EXPECT_EQ(v6(2560), (std::map<std::string, size_t>{{"mix", 32}, {"decay", 64}}));
  EXPECT_EQ(v6(4096), (std::map<std::string, size_t>{{"mix", 64}, {"decay", 128}}));
}

TEST(NewConfig, RefusesSizesThatDoNotFit) {
  for (const InitSizes& sizes :
       {InitSizes{.layers = 0, .width = 64}, InitSizes{.layers = 1, .width = 0},
        InitSizes{.layers = 1, .width = 96}, InitSizes{.layers = 1, .width = 64, .vocab = 0},
        InitSizes{.layers = 1, .width = 64, .head_size = 0},
        InitSizes{.layers = size_t{1} << 40, .width = 64}}) {
    EXPECT_THROW(NewConfig(sizes), Error);
  }
}

// The reference's own numbers at C = 768, L = 12, l = 3.
TEST(NewParameters, Rwkv7StartsAtTheReferenceValues) {
  const auto all = NewParameters(NewConfig({.layers = 12, .width = 768}));
  const auto expect = [&](const std::string& name, double at1, double at100) {
    const auto it = std::find_if(all.begin(), all.end(), [&](const ParameterSpec& p) {
      return p.name == "blocks.3." + name;
    });
    ASSERT_NE(it, all.end()) << name;
    const auto values = Fill(*it);
    EXPECT_NEAR(values[1], at1, 1e-6) << name;
    EXPECT_NEAR(values[100], at100, 1e-6) << name;
  };
  expect("att.x_r", .630856, .263461);
  expect("att.x_w", .988718, .747430);
  expect("att.x_k", .969438, .657086);
  expect("att.w0", -7.843702, -5.252114);
  expect("att.a0", -.670733, -.331726);
  expect("att.v0", .929478, .877849);
  expect("att.k_k", .759870, .746962);
  expect("ffn.x_k", .877805, .475354);
}

// Worked by hand from the formulas at C = 4, L = 2, l = 1: q0 = 1, q1 = 1/2.
TEST(NewParameters, OlderGenerationsStartAtTheirFormulas) {
  const auto value = [](Generation generation, const std::string& name, size_t i) {
    for (const auto& p : NewParameters(NewConfig(
             {.generation = generation, .layers = 2, .width = 4, .vocab = 8, .head_size = 2}))) {
      if (p.name == "blocks.1." + name) return double{Fill(p).at(i)};
    }
    return std::nan("");
  };
  using G = Generation;
  EXPECT_NEAR(value(G::k4, "att.time_decay", 1), -5 + 8.0 / 9, 1e-6);  // (1/3)^2
  EXPECT_NEAR(value(G::k4, "att.time_decay", 3), 3, 1e-6);
  EXPECT_NEAR(value(G::k4, "att.time_first", 2), std::log(0.3) - 0.5, 1e-6);
  EXPECT_NEAR(value(G::k4, "att.time_mix_k", 1), 0.5, 1e-6);
  EXPECT_NEAR(value(G::k4, "att.time_mix_v", 1), 0.8, 1e-6);
  EXPECT_NEAR(value(G::k4, "att.time_mix_r", 1), std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(value(G::k50, "att.time_decay", 0), -8, 1e-6);
  EXPECT_NEAR(value(G::k51, "att.time_decay", 1), -1, 1e-6);
  EXPECT_NEAR(value(G::k51, "att.time_first", 0), -3, 1e-6);
  EXPECT_NEAR(value(G::k52, "att.time_decay", 1), -6 + 5.0 / 9, 1e-6);
  EXPECT_NEAR(value(G::k52, "att.time_faaaa", 1), 2.0 / 3 + 0.1, 1e-6);
  EXPECT_NEAR(value(G::k52, "att.time_mix_g", 1), std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(value(G::k6, "att.time_maa_v", 1), 0.2, 1e-6);
  EXPECT_NEAR(value(G::k6, "att.time_maa_r", 1), 1 - std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(value(G::k6, "ffn.time_maa_k", 2), 1 - std::pow(0.5, 0.125), 1e-6);
  EXPECT_NEAR(value(G::k6, "att.ln_x.weight", 0), 1, 1e-6);
  for (const char* zero : {"att.key.weight", "att.receptance.weight", "att.output.weight",
                           "ffn.value.weight", "ffn.receptance.weight"}) {
    EXPECT_EQ(value(G::k4, zero, 3), 0) << zero;
  }
}

using NamesAndShapes = std::vector<std::pair<std::string, std::vector<size_t>>>;

NamesAndShapes Of(const Checkpoint& checkpoint) {
  NamesAndShapes list;
  for (const TensorView& t : checkpoint.tensors()) list.emplace_back(t.name, t.shape);
  return list;
}

class LikeAFile : public testing::TestWithParam<const char*> {};

// A released-style file's sizes give its names and shapes, for the last two generations in its
// order too (the older files here were written back in an order of their own).
TEST_P(LikeAFile, NamesAndShapesAreTheFiles) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const Checkpoint file(Data(GetParam()));
  Config config = ConfigOf(file);
  if (config.ranks.count("v") == 0 && config.generation == Generation::k7) config.ranks["v"] = 32;
  NamesAndShapes expected = Of(file), got;
  for (const auto& p : NewParameters(config)) got.emplace_back(p.name, p.shape);
  const std::string name = GetParam();
  if (name != "models/tiny-v6.pth" && name != "models/tiny-v7.pth") {
    std::sort(expected.begin(), expected.end());
    std::sort(got.begin(), got.end());
  } else {
    // Layers stand in the order of their names there: 0, 1, 10, 11, 2 …
    const auto layer = [](const auto& t) { return t.first.substr(0, t.first.find('.', 7)); };
    std::stable_sort(expected.begin(), expected.end(),
                     [&](const auto& a, const auto& b) { return layer(a) < layer(b); });
    std::stable_sort(got.begin(), got.end(),
                     [&](const auto& a, const auto& b) { return layer(a) < layer(b); });
  }
  EXPECT_EQ(got, expected);
}

INSTANTIATE_TEST_SUITE_P(Files, LikeAFile,
                         testing::Values("golden/random-v4.pth", "golden/random-v5.0.pth",
                                         "golden/random-v5.1.pth", "golden/random-v5.2.pth",
                                         "golden/random-v6.pth", "golden/random-v7.pth",
                                         "models/tiny-v6.pth", "models/tiny-v7.pth"));

// The largest entry of |M M^T - scale² I| over the rows of M, or its columns if they are fewer.
double DistanceFromOrthogonal(const std::vector<float>& m, size_t rows, size_t cols, double scale) {
  const bool tall = rows > cols;
  const size_t n = std::min(rows, cols), length = std::max(rows, cols);
  const auto at = [&](size_t vector, size_t i) {
    return double{tall ? m[i * cols + vector] : m[vector * cols + i]};
  };
  double worst = 0;
  for (size_t a = 0; a < n; ++a) {
    for (size_t b = a; b < n; ++b) {
      double dot = 0;
      for (size_t i = 0; i < length; ++i) dot += at(a, i) * at(b, i);
      worst = std::max(worst, std::abs(dot / (scale * scale) - (a == b ? 1 : 0)));
    }
  }
  return worst;
}

class OrthogonalTest : public EachIsa {};

TEST_P(OrthogonalTest, RowsOrColumnsAreOrthonormalTimesTheGain) {
  for (const auto& [rows, cols] : std::vector<std::pair<size_t, size_t>>{
           {1, 1}, {2, 1}, {1, 5}, {3, 3}, {64, 64}, {65, 65}, {200, 200}, {130, 70}, {70, 1000}}) {
    const ParameterSpec p{"m", {rows, cols}, StartKind::kOrthogonal, 0.5};
    EXPECT_LT(DistanceFromOrthogonal(Fill(p), rows, cols, 0.5), 2e-5) << rows << " x " << cols;
  }
}

LINNET_EACH_ISA(OrthogonalTest);

// Q of QR with a positive diagonal: each row points as its source does after Gram-Schmidt.
TEST(Orthogonal, IsGramSchmidtOfItsRows) {
  constexpr size_t kRows = 90, kLength = 100;
  ThreadPool pool(2);
  RowBlock block(kRows, kLength);
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<std::vector<double>> expected;
  for (size_t i = 0; i < kRows; ++i) {
    std::vector<double> row(kLength);
    for (size_t c = 0; c < kLength; ++c) row[c] = block.Row(i)[c] = normal(random);
    for (int pass = 0; pass < 2; ++pass) {
      for (const auto& before : expected) {
        double dot = 0;
        for (size_t c = 0; c < kLength; ++c) dot += row[c] * before[c];
        for (size_t c = 0; c < kLength; ++c) row[c] -= dot * before[c];
      }
    }
    double length = 0;
    for (const double x : row) length += x * x;
    for (double& x : row) x /= std::sqrt(length);
    expected.push_back(row);
  }
  OrthonormalizeRows(block, pool);
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t c = 0; c < kLength; ++c) ASSERT_NEAR(block.Row(i)[c], expected[i][c], 2e-5) << i;
  }
}

TEST(ForValues, AreTheSameOnAnyNumberOfThreads) {
  const auto all =
      NewParameters(NewConfig({.layers = 2, .width = 192, .vocab = 300, .head_size = 64}));
  for (const ParameterSpec& p : all) {
    for (const Filling filling : {Filling::kReference, Filling::kRandom}) {
      const auto one = Fill(p, filling, 9, 1);
      for (const size_t threads : {2, 3, 7}) {
        EXPECT_TRUE(BitEqual(one, Fill(p, filling, 9, threads))) << p.name << " " << threads;
      }
    }
  }
}

TEST(ForValues, DependOnSeedAndName) {
  const ParameterSpec a{"a", {40, 30}, StartKind::kOrthogonal, 1}, b{"b", {40, 30}, a.start, 1};
  EXPECT_FALSE(BitEqual(Fill(a, Filling::kReference, 1), Fill(a, Filling::kReference, 2)));
  EXPECT_FALSE(BitEqual(Fill(a, Filling::kReference, 1), Fill(b, Filling::kReference, 1)));
}

TEST(ForValues, UniformsFillTheirRangeEvenly) {
  constexpr double kScale = 0.01;
  const auto check = [](const std::vector<float>& values, double center, double spread) {
    double sum = 0, squares = 0, largest = 0;
    for (const float x : values) {
      const double u = (x - center) / spread;
      sum += u;
      squares += u * u;
      largest = std::max(largest, std::abs(u));
    }
    const auto n = static_cast<double>(values.size());
    EXPECT_NEAR(sum / n, 0, 0.01);
    EXPECT_NEAR(squares / n, 1.0 / 3, 0.01);
    EXPECT_LE(largest, 1.001);
    EXPECT_GT(largest, 0.99);
  };
  const ParameterSpec p{"u", {1000, 101}, StartKind::kUniform, kScale, {}, -3, 2};
  check(Fill(p), 0, kScale);
  check(Fill(p, Filling::kRandom), -3, 2);
}

TEST(NewParameters, RandomDecaysAndMixesStayInTheirRanges) {
  for (const Generation generation : kAll) {
    for (const auto& p :
         NewParameters(NewConfig({.generation = generation, .layers = 2, .width = 64}))) {
      EXPECT_GT(p.spread, 0) << p.name;
      const bool mix =
          p.name.find("time_mix_") != std::string::npos || p.name.find(".x_") != std::string::npos;
      if (mix) {
        EXPECT_GE(p.center - p.spread, 0) << p.name;
        EXPECT_LE(p.center + p.spread, 1) << p.name;
      }
    }
  }
}

}  // namespace
}  // namespace linnet
