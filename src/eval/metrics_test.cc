#include "eval/metrics.h"

#include <gtest/gtest.h>

#include "base/thread_pool.h"

namespace linnet {
namespace {

std::vector<MetricSample> Samples(const std::vector<double>& values) {
  std::vector<MetricSample> out;
  for (const double x : values) out.push_back({x});
  return out;
}

ForEachTask OnThreads(ThreadPool& pool) {
  return [&pool](size_t tasks, const std::function<void(size_t)>& body) { pool.For(tasks, body); };
}

// The figures are those of lm_eval 0.4.13's api/metrics.py for the same values.
TEST(MetricsTest, AggregatesAreTheHarnesss) {
  const auto logprobs = Samples({-1.5, -2.25, -0.1, -7.0, -3.3});
  EXPECT_DOUBLE_EQ(Aggregate("perplexity", logprobs), 16.94546082454101);
  EXPECT_DOUBLE_EQ(Aggregate("median", logprobs), -2.25);
  const std::vector<MetricSample> weighted = {{-10.5, 7}, {-3.25, 2}};
  EXPECT_DOUBLE_EQ(Aggregate("weighted_perplexity", weighted), 4.6079256016029415);
  EXPECT_DOUBLE_EQ(Aggregate("bits_per_byte", weighted), 2.2041174235803607);
}

TEST(MetricsTest, StandardErrorsAreTheHarnesssOnAnyNumberOfThreads) {
  ThreadPool one(1), three(3);
  const auto logprobs = Samples({-1.5, -2.25, -0.1, -7.0, -3.3});
  for (ThreadPool* pool : {&one, &three}) {
    EXPECT_NEAR(*StandardError("perplexity", logprobs, 3000, OnThreads(*pool)), 52.425418711775464,
                1e-9);
    EXPECT_NEAR(*StandardError("median", logprobs, 2000, OnThreads(*pool)), 1.412293072758504,
                1e-12);
    EXPECT_NEAR(*StandardError("mean", Samples({1, 0, 0, 1, 1, 1, 0}), 1, OnThreads(*pool)),
                0.20203050891044214, 1e-15);
  }
  EXPECT_FALSE(StandardError("mean", Samples({1}), 1000, OnThreads(one)));
  EXPECT_FALSE(StandardError("bits_per_byte", logprobs, 1000, OnThreads(one)));
  EXPECT_FALSE(StandardError("perplexity", logprobs, 0, OnThreads(one)));
}

TEST(MetricsTest, GroupsAreTheHarnesss) {
  const double values[] = {0.5, 0.7}, errors[] = {0.1, 0.2};
  const size_t sizes[] = {10, 30};
  EXPECT_DOUBLE_EQ(GroupMean(values, sizes, true), 0.65);
  EXPECT_DOUBLE_EQ(GroupMean(values, sizes, false), 0.6);
  EXPECT_DOUBLE_EQ(GroupError(errors, sizes, true), 0.15325417483795722);
  EXPECT_DOUBLE_EQ(GroupError(errors, sizes, false), 0.1118033988749895);
}

TEST(MetricsTest, ExactMatchHeedsItsOptions) {
  EXPECT_TRUE(
      ExactMatch("The Cat.", "the cat", {{"ignore_case", true}, {"ignore_punctuation", true}}));
  EXPECT_FALSE(ExactMatch("The Cat.", "the cat", {{"ignore_case", true}}));
  EXPECT_TRUE(ExactMatch("a1 b", "a b", {{"ignore_numbers", true}}));
  EXPECT_TRUE(ExactMatch("x  y", "x y", {{"regexes_to_ignore", {"\\s+"}}}));
  EXPECT_FALSE(ExactMatch("a", "a ", TaskJson()));
}

// SQuAD 1.1's own examples of what counts as equal; F1 by hand.
TEST(MetricsTest, SquadComparesWords) {
  EXPECT_EQ(NormalizedAnswer(" The  Köln-based  \"team\" an a."), "kölnbased team");
  EXPECT_EQ(SquadExact("the cat", "Cat!"), 1);
  EXPECT_EQ(SquadExact("theory", "ory"), 0);
  // 2 of 3 words are common, of 4 wanted: 2 · (2/3 · 2/4) / (2/3 + 2/4).
  EXPECT_DOUBLE_EQ(SquadF1("big red dog", "red old dog there"), 4.0 / 7);
  EXPECT_DOUBLE_EQ(SquadF1("dog dog", "dog"), 2.0 / 3);
  EXPECT_EQ(SquadF1("the", "a"), 1);  // no words on both sides
  EXPECT_EQ(SquadF1("x", "the"), 0);
}

}  // namespace
}  // namespace linnet
