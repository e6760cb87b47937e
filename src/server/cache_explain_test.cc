// Why a prompt is not in the cache, and where it parts from what is.
#include "server/cache_explain.h"

#include <gtest/gtest.h>

#include "server/live_model.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/scripted_model.h"

namespace linnet {
namespace {

using test::AnswerTo;

class CacheExplainThreadTest : public testing::Test {
 protected:
  CacheExplainThreadTest() {
    AddCompletions(router_, live_.models());
    AddChat(router_, live_.models());
    AddCacheRoutes(router_, live_.models());
  }
  Json Explain(const Json& body, int status = 200, const std::string& owner = "") {
    return AnswerTo(router_, "POST", "/v1/cache/explain", body.dump(), owner, status);
  }
  Json Ask(const char* path, const Json& body) {
    return AnswerTo(router_, "POST", path, body.dump());
  }

  test::LiveModel live_{std::make_shared<KeptStates>(KeptStatesOptions{})};
  Router router_;
};

TEST_F(CacheExplainThreadTest, SaysWhichTokenIsAnother) {
  EXPECT_EQ(Explain({{"prompt", "abcdef"}})["reason"], "nothing_kept");
  Ask("/v1/completions", {{"prompt", "abcdef"}, {"max_tokens", 0}});
  const Json same = Explain({{"prompt", "abcdef and more"}});
  EXPECT_EQ(same["reason"], "hit");
  EXPECT_EQ(same["cached_tokens"], 6);
  EXPECT_EQ(same["states"][0]["in_memory"], true);
  const Json other = Explain({{"prompt", "abcXef"}});
  EXPECT_EQ(other["reason"], "diverged");
  EXPECT_EQ(other["cached_tokens"], 0);
  EXPECT_EQ(other["shared_tokens"], 3);
  EXPECT_EQ(other["diverged_at"]["token"], 3);
  EXPECT_EQ(other["diverged_at"]["before"], "abc");
  EXPECT_EQ(other["diverged_at"]["prompt"]["text"], "X");
  EXPECT_EQ(other["diverged_at"]["kept"], Json::array({{{"id", 100}, {"text", "d"}}}));
  EXPECT_EQ(Explain({{"prompt", "Xabc"}})["diverged_at"]["token"], 0);
  EXPECT_EQ(Explain({{"prompt", "abcdef"}})["reason"], "no_state_here");
  EXPECT_EQ(Explain({{"prompt", "abcdef"}}, 200, "bob")["reason"], "nothing_kept");
  EXPECT_EQ(Explain({{"prompt", "abcdef"}, {"no_cache", true}})["reason"], "not_used");
  Explain({{"prompt", {"a", "b"}}}, 400);
  Explain(Json::object(), 400);
}

TEST_F(CacheExplainThreadTest, TellsWhatTheNextRequestFinds) {
  const Json user = {{"role", "user"}, {"content", "tell me a story about a small bird"}};
  const Json first =
      Ask("/v1/chat/completions", {{"messages", Json::array({user})}, {"max_tokens", 8}});
  const Json reply = {{"role", "assistant"},
                      {"content", first["choices"][0]["message"]["content"]}};
  const Json next = {{"messages", {user, reply, {{"role", "user"}, {"content", "go on"}}}},
                     {"max_tokens", 8}};
  for (int i = 0; i < 2; ++i) {
    const auto queries = live_.cache.statistics().queries;
    size_t expected = 0;
    for (int j = 0; j < 3; ++j) expected = Explain(next)["cached_tokens"];
    // The cache is warmed in the background, by one query.
    EXPECT_LE(live_.cache.statistics().queries, queries + 1);
    if (i == 0) continue;
    Ask("/v1/chat/completions", next);
    EXPECT_GT(expected, 0u);
  }
  const Json again = Explain(next);
  EXPECT_EQ(Ask("/v1/chat/completions", next)["usage"]["prompt_tokens_details"]["cached_tokens"],
            again["cached_tokens"]);
}

}  // namespace
}  // namespace linnet
