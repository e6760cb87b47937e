#include "server/text_run.h"

#include <gtest/gtest.h>

#include <optional>

#include "server/scripted_model.h"

namespace linnet {
namespace {

class LastUsage : public ChatEvents {
 public:
  void OnDone(const ChatUsage& done) override { usage = done; }

  std::optional<ChatUsage> usage{};
};

TEST(TextRunTest, CountsTokensAndGuesses) {
  test::ScriptedEngine engine;
  engine.cached = 1;
  engine.kept = 2;
  engine.speculation = {.passes = 2, .guessed = 7, .accepted = 3};
  const auto events = std::make_shared<LastUsage>();
  RunText(test::ScriptedModel(engine), {}, {72, 105, 33}, events);
  ASSERT_TRUE(events->usage);
  EXPECT_EQ(events->usage->prompt_tokens, 3u);
  EXPECT_EQ(events->usage->cached_tokens, 1u);
  EXPECT_EQ(events->usage->kept_tokens, 2u);
  EXPECT_EQ(events->usage->completion_tokens, 5u);
  EXPECT_EQ(events->usage->accepted_guesses, 3u);
  EXPECT_EQ(events->usage->rejected_guesses, 4u);
}

}  // namespace
}  // namespace linnet
