// The state cache in memory: exact, within its budget, and apart for each owner.
#include "engine/state_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "engine/state_cache_tree.h"
#include "engine/test_states.h"

namespace linnet {
namespace {

using test::RandomTexts;
using test::SlowCache;
using test::SmallShape;
using test::StateOf;
using test::TextTokens;

class StateCacheTest : public testing::TestWithParam<Generation> {
 protected:
  const StateShape shape_ = SmallShape(GetParam());

  State Of(const std::string& owner, std::span<const int32_t> tokens) const {
    return StateOf(shape_, owner, tokens);
  }
  // The tokens of the hit, which must be exact.
  size_t Check(const std::optional<CacheHit>& hit, const std::string& owner,
               const TextTokens& text) const {
    if (!hit) return 0;
    EXPECT_LT(hit->tokens, text.size());
    const State expected = Of(owner, std::span(text).first(hit->tokens));
    EXPECT_EQ(test::BytesOf(hit->state), test::BytesOf(expected));
    return hit->tokens;
  }
};

TEST_P(StateCacheTest, FindsTheLongestKeptPrefixOfRandomConversations) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    StateCache cache(shape_, "model", {});
    SlowCache slow;
    RandomTexts texts(seed);
    for (int i = 0; i < 400; ++i) {
      const std::string owner = texts.Owner();
      const TextTokens text = texts.Next();
      ASSERT_EQ(Check(cache.Find(owner, text), owner, text), slow.Find(owner, text));
      if (texts.Below(3) == 0) continue;
      cache.Keep(owner, text, Of(owner, text));
      slow.Keep(owner, text);
    }
    EXPECT_EQ(cache.statistics().entries, slow.all().size());
    EXPECT_EQ(cache.statistics().evictions, 0u);
  }
}

TEST_P(StateCacheTest, KeepsTheBudgetAndStaysExact) {
  const size_t one = 1500 + Of("", TextTokens{1}).bytes();
  for (const size_t budget : {0 * one, 4 * one, 20 * one, 100 * one}) {
    StateCache cache(shape_, "model", {.memory_bytes = budget});
    SlowCache slow;
    RandomTexts texts(budget);
    size_t most = 0;
    for (int i = 0; i < 2000; ++i) {
      const std::string owner = texts.Owner();
      const TextTokens text = texts.Next();
      const size_t found = Check(cache.Find(owner, text), owner, text);
      if (found > 0) {
        ASSERT_TRUE(slow.Has(owner, TextTokens(text.begin(), text.begin() + found)));
      }
      cache.Keep(owner, text, Of(owner, text));
      slow.Keep(owner, text);
      most = std::max(most, cache.statistics().memory_bytes);
    }
    EXPECT_LE(most, budget);
    EXPECT_GE(most, budget / 2);
    EXPECT_GT(cache.statistics().evictions + (budget == 0), 0u);
  }
}

TEST_P(StateCacheTest, WhatIsUsedStaysAndWhatIsNotGoes) {
  StateCache cache(shape_, "model", {.memory_bytes = 100'000});
  const TextTokens used(50, 1);
  TextTokens more = used;
  more.push_back(2);
  cache.Keep("a", used, Of("a", used));
  for (int32_t i = 0; i < 500; ++i) {
    const TextTokens other(40, 10 + i);
    cache.Keep("a", other, Of("a", other));
    ASSERT_EQ(Check(cache.Find("a", more), "a", more), 50u) << i;
  }
  const TextTokens first(41, 10);
  EXPECT_FALSE(cache.Find("a", first).has_value());
}

TEST_P(StateCacheTest, OwnersDoNotSeeEachOther) {
  StateCache cache(shape_, "model", {});
  const TextTokens text{1, 2, 3}, longer{1, 2, 3, 4};
  cache.Keep("a", text, Of("a", text));
  EXPECT_FALSE(cache.Find("b", longer).has_value());
  EXPECT_FALSE(cache.Find("", longer).has_value());
  cache.Keep("b", text, Of("b", text));
  EXPECT_EQ(Check(cache.Find("a", longer), "a", longer), 3u);
  EXPECT_EQ(Check(cache.Find("b", longer), "b", longer), 3u);
}

TEST_P(StateCacheTest, LeavesATokenToRun) {
  StateCache cache(shape_, "model", {});
  const TextTokens text{1, 2, 3};
  cache.Keep("", text, Of("", text));
  EXPECT_FALSE(cache.Find("", text).has_value());
  EXPECT_FALSE(cache.Find("", {}).has_value());
  cache.Keep("", {}, State(shape_));
  EXPECT_EQ(cache.statistics().entries, 1u);
}

TEST_P(StateCacheTest, KeepsNoStateOfAnotherModel) {
  StateShape own = shape_;
  own.identity = "this";
  StateCache cache(own, "this", {});
  const TextTokens text{1, 2}, longer{1, 2, 3};
  cache.Keep("", text, State(shape_));
  StateShape wide = own;
  ++wide.layers;
  cache.Keep("", text, State(wide));
  EXPECT_FALSE(cache.Find("", longer).has_value());
  cache.Keep("", text, State(own));
  EXPECT_EQ(cache.Find("", longer)->state.identity(), "this");
}

TEST_P(StateCacheTest, ForgetsWhatHasNotBeenUsedForLong) {
  auto now = std::chrono::system_clock::time_point(std::chrono::hours(1000));
  StateCache cache(shape_, "model",
                   {.expiry = std::chrono::seconds(60), .clock = [&] { return now; }});
  const TextTokens a{1, 1}, b{2, 2}, more_a{1, 1, 1}, more_b{2, 2, 2};
  cache.Keep("", a, Of("", a));
  cache.Keep("", b, Of("", b));
  now += std::chrono::seconds(40);
  EXPECT_TRUE(cache.Find("", more_a).has_value());
  now += std::chrono::seconds(40);
  EXPECT_TRUE(cache.Find("", more_a).has_value());
  EXPECT_FALSE(cache.Find("", more_b).has_value());
  now += std::chrono::seconds(60);
  cache.Flush();
  EXPECT_EQ(cache.statistics().entries, 0u);
  EXPECT_EQ(cache.statistics().expired, 2u);
  EXPECT_EQ(cache.statistics().memory_bytes, 0u);
}

// A text of so many entries is a deep tree; nothing may walk it by recursion.
TEST_P(StateCacheTest, BearsOneTextOfVeryManyEntries) {
  StateTree tree([](CacheEntry&) {});
  const Digest owner = Sha256Of("");
  TextTokens text;
  std::vector<CacheEntry*> entries;
  for (int32_t i = 0; i < 20'000; ++i) {
    text.push_back(i);
    if (i < 1000 || i % 100 == 0) tree.Add(owner, text, static_cast<uint64_t>(i));
  }
  EXPECT_EQ(tree.Path(owner, text).size(), 1190u);
  for (CacheEntry* entry : tree.Path(owner, text)) {
    if (entry->tokens % 2 == 0) tree.Remove(entry);
  }
  for (CacheEntry* entry : tree.Path(owner, text)) tree.Remove(entry);
  EXPECT_EQ(tree.bytes(), 0u);
}

TEST_P(StateCacheTest, ThreadsUseOneCache) {
  StateCache cache(shape_, "model", {.memory_bytes = 50'000});
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (uint64_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      RandomTexts texts(seed % 2);  // two each do the same
      for (int i = 0; i < 300; ++i) {
        const std::string owner = texts.Owner();
        const TextTokens text = texts.Next();
        Check(cache.Find(owner, text), owner, text);
        cache.Keep(owner, text, Of(owner, text));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache.statistics().memory_bytes, 50'000u);
  EXPECT_EQ(cache.statistics().queries, 1200u);
}

INSTANTIATE_TEST_SUITE_P(Generations, StateCacheTest,
                         testing::Values(Generation::k4, Generation::k7, Generation::k7b,
                                         Generation::kGoldFinch),
                         [](const auto& test) { return test::NameOf(test.param); });

}  // namespace
}  // namespace linnet
