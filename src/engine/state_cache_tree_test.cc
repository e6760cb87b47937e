// The tree over tokens against a map of all texts, and what is evicted first.
#include "engine/state_cache_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/state_cache_levels.h"
#include "engine/test_states.h"

namespace linnet {
namespace {

using test::TextTokens;

// The longest kept text that `text` goes on from.
size_t KeptAbove(const std::map<TextTokens, CacheEntry*>& kept, TextTokens text) {
  while (!text.empty()) {
    text.pop_back();
    if (kept.count(text) != 0) break;
  }
  return text.size();
}

// Of the kept texts, the tokens that the most alike have in common with `text`, and what follows.
StateTree::Shared SlowShared(const std::map<TextTokens, CacheEntry*>& kept,
                             const TextTokens& text) {
  StateTree::Shared shared;
  shared.any = !kept.empty();
  std::set<int32_t> next;
  for (const auto& [other, entry] : kept) {
    const size_t most = std::min(other.size(), text.size());
    size_t same = 0;
    while (same < most && other[same] == text[same]) ++same;
    if (same > shared.tokens) next.clear();
    shared.tokens = std::max(shared.tokens, same);
    if (same == shared.tokens && same < other.size()) next.insert(other[same]);
  }
  shared.next.assign(next.begin(), next.end());
  return shared;
}

TEST(StateTree, IsAMapWithPrefixesAfterRandomChanges) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    StateTree tree([](CacheEntry&) {});
    test::RandomTexts texts(seed);
    std::map<std::string, std::map<TextTokens, CacheEntry*>> kept;
    uint64_t serial = 0;
    for (int i = 0; i < 1500; ++i) {
      const std::string owner = texts.Owner();
      const Digest key = Sha256Of(owner);
      auto& mine = kept[owner];
      const TextTokens text = texts.Next();
      const auto it = mine.find(text);
      ASSERT_EQ(tree.Find(key, text), it == mine.end() ? nullptr : it->second);
      if (it == mine.end()) {
        mine[text] = tree.Add(key, text, ++serial);
      } else {
        tree.Remove(it->second);
        mine.erase(it);
      }
      if (!mine.empty() && texts.Below(2) == 0) {
        const auto other =
            std::next(mine.begin(), static_cast<ptrdiff_t>(texts.Below(mine.size())));
        tree.Remove(other->second);
        mine.erase(other);
      }
      const TextTokens asked = texts.Next();
      const auto shared = tree.LongestShared(key, asked, 100), slow = SlowShared(mine, asked);
      ASSERT_EQ(shared.tokens, slow.tokens);
      ASSERT_EQ(shared.next, slow.next);
      ASSERT_EQ(shared.any, slow.any);
      if (i % 50 != 0) continue;
      size_t entries = 0;
      for (const auto& [name, all] : kept) {
        entries += all.size();
        for (const auto& [tokens, entry] : all) {
          ASSERT_EQ(tree.TokensOf(*entry), tokens);
          ASSERT_EQ(tree.OwnerOf(*entry), Sha256Of(name));
          ASSERT_EQ(entry->work, tokens.size() - KeptAbove(all, tokens));
        }
      }
      ASSERT_EQ(tree.entries(), entries);
    }
    for (const auto& [name, all] : kept) {
      for (const auto& [tokens, entry] : all) tree.Remove(entry);
    }
    EXPECT_EQ(tree.entries(), 0u);
    EXPECT_EQ(tree.bytes(), 0u);
  }
}

// Nothing may walk it by recursion.
TEST(StateTree, BearsOneTextOfVeryManyEntries) {
  const Digest owner = Sha256Of("");
  TextTokens text;
  {
    StateTree tree([](CacheEntry&) {});
    for (int32_t i = 0; i < 3000; ++i) {
      text.push_back(i);
      tree.Add(owner, text, static_cast<uint64_t>(i));
    }
    EXPECT_EQ(tree.Path(owner, text).size(), 3000u);
    for (CacheEntry* entry : tree.Path(owner, text)) {
      if (entry->tokens % 2 == 0) tree.Remove(entry);
    }
    EXPECT_EQ(tree.Path(owner, text).size(), 1500u);
    for (CacheEntry* entry : tree.Path(owner, text)) tree.Remove(entry);
    EXPECT_EQ(tree.bytes(), 0u);
    tree.Add(owner, text, 1);
  }
}

class CacheLevelsTest : public testing::Test {
 protected:
  std::shared_ptr<const State> NewState(Generation generation = Generation::k7) const {
    return std::make_shared<const State>(test::SmallShape(generation));
  }
  CacheEntry* Add(CacheLevels& levels, const TextTokens& text) const {
    return levels.Add(owner_, text, NewState(), ++now_, false);
  }
  bool Has(const CacheLevels& levels, const TextTokens& text) const {
    return levels.tree().Find(owner_, text) != nullptr;
  }

  const Digest owner_ = Sha256Of("a");
  mutable int64_t now_ = 0;
};

TEST_F(CacheLevelsTest, WhatSavesLessWorkGoesFirst) {
  CacheLevels levels(test::SmallShape(), {.memory_bytes = 40'000});
  const TextTokens much(200, 1), little(3, 2);
  TextTokens more = much;
  more.push_back(0);  // saves one token beside `much`
  Add(levels, much);
  Add(levels, little);
  Add(levels, more);
  for (int32_t i = 10; Has(levels, little) || Has(levels, more); ++i) {
    ASSERT_LT(i, 100);
    Add(levels, TextTokens(100, i));
    EXPECT_TRUE(Has(levels, much));
  }
}

TEST_F(CacheLevelsTest, WhatIsNotUsedGoesHoweverMuchItSaved) {
  CacheLevels levels(test::SmallShape(), {.memory_bytes = 40'000});
  const TextTokens much(1000, 1);
  Add(levels, much);
  int32_t i = 10;
  while (Has(levels, much)) {
    ASSERT_LT(i, 2000);
    Add(levels, TextTokens(50, i++));
  }
  EXPECT_GT(i, 100);
}

TEST_F(CacheLevelsTest, WorkOfTheNextGrowsWhenAnEntryGoes) {
  CacheLevels levels(test::SmallShape(), {.memory_bytes = 1'000'000, .expiry = 100});
  CacheEntry* const first = levels.Add(owner_, TextTokens(10, 1), NewState(), 0, false);
  CacheEntry* const second = levels.Add(owner_, TextTokens(15, 1), NewState(), 50, false);
  EXPECT_EQ(first->work, 10u);
  EXPECT_EQ(second->work, 5u);
  const double before = second->in_memory.value;
  levels.Expire(100);
  EXPECT_EQ(levels.tree().entries(), 1u);
  EXPECT_EQ(second->work, 15u);
  EXPECT_DOUBLE_EQ(second->in_memory.value, 3 * before);
}

TEST_F(CacheLevelsTest, RowsThatStatesShareCountOnce) {
  const StateShape shape = test::SmallShape(Generation::k7b);
  const TextTokens text(640, 1);
  State state = test::StateOf(shape, "a", text);
  StateMemory memory;
  memory.Add(state);
  const size_t one = memory.bytes();
  EXPECT_GE(one, state.bytes());
  const State fork = state.Clone();
  memory.Add(fork);
  EXPECT_LT(memory.bytes() - one, one / 4);
  state.past()->Append(TextTokens{1});
  memory.Add(state);
  EXPECT_LT(memory.bytes() - one, one / 2);
  memory.Remove(state);
  memory.Remove(fork);
  memory.Remove(fork);
  EXPECT_EQ(memory.bytes(), 0u);
}

TEST_F(CacheLevelsTest, WhatIsBeingWrittenStays) {
  CacheLevels levels(test::SmallShape(), {.memory_bytes = 20'000, .disk_bytes = 100'000});
  const TextTokens text(2, 1);
  levels.Add(owner_, text, NewState(), 0, true);
  CacheEntry* const entry = levels.Waiting();
  ASSERT_NE(entry, nullptr);
  levels.BeginWriting(entry);
  for (int32_t i = 10; i < 60; ++i) Add(levels, TextTokens(30, i));
  levels.Expire(1'000'000);
  ASSERT_TRUE(Has(levels, text));
  levels.EndWriting(entry, 7, 3000, false);
  EXPECT_EQ(levels.on_disk(), 1u);
  for (int32_t i = 60; i < 90; ++i) Add(levels, TextTokens(30, i));
  EXPECT_EQ(entry->state, nullptr);  // memory is what it has left
  EXPECT_FALSE(levels.MakeRoom(100'001));
  EXPECT_TRUE(levels.MakeRoom(98'000));
  EXPECT_FALSE(Has(levels, text));
  EXPECT_EQ(levels.TakeRemovals(), std::vector<uint64_t>{7});
}

}  // namespace
}  // namespace linnet
