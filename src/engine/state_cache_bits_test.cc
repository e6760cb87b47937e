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
    // To the end of the last message, where a snapshot is kept, and to the end.
    const size_t mark = (text.size() - 1) / 5 * 5;
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
  options.memory_bytes = 6 * (2000 + shape_.floats() * sizeof(float) + 64 * shape_.token_bytes());
  auto cache = std::make_unique<StateCache>(shape_, identity_, options);
  test::RandomTexts texts(11);
  std::map<TextTokens, std::string> expected;
  uint64_t hits = 0, reads = 0;
  for (int i = 0; i < 120; ++i) {
    TextTokens text = texts.Next();
    text.push_back(7);  // a token to run, whatever is kept
    auto& bits = expected[text];
    if (bits.empty()) bits = After(text, nullptr);
    ASSERT_EQ(After(text, cache.get()), bits) << i;
    if (i % 30 != 29) continue;
    hits += cache->statistics().hits;
    reads += cache->statistics().reads;
    EXPECT_EQ(cache->statistics().damaged, 0u);
    cache.reset();
    cache = std::make_unique<StateCache>(shape_, identity_, options);
  }
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
