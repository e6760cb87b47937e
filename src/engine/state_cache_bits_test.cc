// Logits and states of random conversations are the same bits with the cache and without it.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "engine/state_cache.h"
#include "engine/test_states.h"
#include "linnet/model.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using test::TextTokens;

class StateCacheBitsTest : public testing::TestWithParam<const char*> {
 protected:
  StateCacheBitsTest()
      : model_(Model::Open(test::RandomModel(GetParam()))),
        identity_(model_.Identity(workspace_, {.cache = folder_ / "digests"})),
        shape_(model_.state_shape()) {
    shape_.identity = identity_;
  }

  // The end of the last message, where a snapshot is kept as at the end.
  static size_t MarkOf(const TextTokens& text) { return (text.size() - 1) / 5 * 5; }

  // The bits of logits and state after the text; what the cache has of it is not run again.
  std::string After(const TextTokens& text, StateCache* cache) {
    State state = model_.NewState();
    state.set_identity(identity_);
    size_t done = 0;
    if (cache != nullptr) {
      if (auto hit = cache->Find("a", text)) {
        state = std::move(hit->state);
        done = hit->tokens;
      }
    }
    std::vector<float> logits(model_.config().vocab);
    const size_t mark = MarkOf(text);
    if (cache != nullptr && mark > done) {
      model_.Forward({std::span(text).subspan(done, mark - done), &state, {}}, workspace_);
      cache->Keep("a", std::span(text).first(mark), state);
      done = mark;
    }
    if (done < text.size()) {
      model_.Forward({std::span(text).subspan(done), &state, logits}, workspace_);
      if (cache != nullptr) cache->Keep("a", text, state);
    }
    return test::BytesOf(state) +
           std::string(reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(float));
  }

  const test::TemporaryFolder folder_;
  Workspace workspace_{{.threads = 2}};
  const Model model_;
  const std::string identity_;
  StateShape shape_;
};

TEST_P(StateCacheBitsTest, OfConversationsWithMemoryDiskAndRestarts) {
  CacheOptions options;
  options.folder = folder_ / "cache";
  // The tree, and a few states.
  options.memory_bytes =
      400'000 + 6 * (shape_.floats() * sizeof(float) + 64 * shape_.token_bytes());
  auto cache = std::make_unique<StateCache>(shape_, identity_, options);
  test::RandomTexts texts(11);
  std::map<TextTokens, std::string> expected;
  test::SlowCache slow;
  uint64_t hits = 0, expected_hits = 0, reads = 0;
  for (int i = 0; i < 120; ++i) {
    TextTokens text = texts.Next();
    text.push_back(7);  // a token to run, whatever is kept
    auto& bits = expected[text];
    if (bits.empty()) bits = After(text, nullptr);
    const size_t known = slow.Find("a", text);
    expected_hits += known > 0;
    ASSERT_EQ(After(text, cache.get()), bits) << i;
    const size_t mark = MarkOf(text);
    if (mark > known) slow.Keep("a", {text.begin(), text.begin() + static_cast<ptrdiff_t>(mark)});
    slow.Keep("a", text);
    cache->Flush();  // so that it does not depend on time what is dropped before it was written
    if (i % 30 != 29) continue;
    hits += cache->statistics().hits;
    reads += cache->statistics().reads;
    EXPECT_EQ(cache->statistics().damaged, 0u);
    EXPECT_EQ(cache->statistics().evictions, 0u);
    cache.reset();
    cache = std::make_unique<StateCache>(shape_, identity_, options);
  }
  EXPECT_EQ(hits, expected_hits);
  EXPECT_GT(hits, 30u);
  EXPECT_GT(reads, 0u);
}

INSTANTIATE_TEST_SUITE_P(Models, StateCacheBitsTest,
                         testing::Values("v4", "v5.2", "v6", "v7", "v7b", "goldfinch"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '.');
                           return name;
                         });

}  // namespace
}  // namespace linnet
