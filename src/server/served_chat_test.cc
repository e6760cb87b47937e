// Chat and completions on a scheduler with a small model: what clients get does not depend on what
// the cache holds, and what must match a schema does.
#include <gtest/gtest.h>

#include <random>

#include "engine/state_cache.h"
#include "server/chat_plan.h"
#include "server/test_server.h"
#include "server/test_service.h"

namespace linnet {
namespace {

using test::Service;

Json Message(const char* role, const std::string& text) {
  return {{"role", role}, {"content", text}};
}

// What is kept is the beginning of what the next request reads, token for token, though the prompt
// asked for thoughts and the reply had some, and calls.
TEST(WarmingTest, ReadsWhatTheNextRequestWillWrite) {
  std::shared_ptr<const Tokenizer> world;
  try {
    world = Tokenizer::ForVocabulary(65536);
  } catch (const Error&) {
    GTEST_SKIP() << "built without the World vocabulary";
  }
  for (const auto& tokenizer : {world, Tokenizer::ForVocabulary(256)}) {
    for (const char* form : {"g1", "world", "g1-headings", "raven", "instruct"}) {
      test::ScriptedScheduler scheduler;
      const auto served = test::ScriptedModel(scheduler, form);
      served->tokenizer = tokenizer;
      StateCache cache(StateShape{}, "id", {});
      served->cache = &cache;
      for (const char* question : {"Hi", "Hi.", "A list:\n\n1. x\n", "你好。", "?!"}) {
        for (const char* said : {"Well.", "Yes!\n\nNo.", "x ", "```\ncode\n```", "。"}) {
          ChatRequest request;
          request.messages = {{.role = ChatRole::kUser, .text = "First."},
                              {.role = ChatRole::kAssistant, .text = "Second."},
                              {.role = ChatRole::kUser, .text = question}};
          request.thinking = Thinking::kBit;
          const ChatPlan plan = PlanChat(request, *served);
          ASSERT_TRUE(plan.past);
          const ChatMessage reply{.role = ChatRole::kAssistant, .text = said, .thoughts = "hm"};
          const auto job = PlanWarming(*plan.past, reply, "", *served);
          ASSERT_TRUE(job);
          request.messages.push_back(reply);
          const size_t whole =
              served->chat_template->RenderPast(request.messages, {}, {}).text.size();
          request.messages.push_back({.role = ChatRole::kUser, .text = "Next."});
          const std::vector<int32_t> next = PlanChat(request, *served).job.prompt;
          ASSERT_LT(job->prompt.size(), next.size());
          EXPECT_TRUE(std::equal(job->prompt.begin(), job->prompt.end(), next.begin()))
              << form << question << said;
          // To the end of the reply, or one token less.
          EXPECT_GE(tokenizer->Decode(job->prompt).size() + 8, whole);
        }
      }
    }
  }
}

TEST(ServedChatThreadTest, TheNextTurnFindsTheWholeHistory) {
  for (const char* form : {"world", "g1-headings", "raven"}) {
    Service service(true, form);
    const ChatTemplate& chat = ChatTemplate::Named(form);
    Json messages = {Message("system", "Be kind."), Message("user", "Say something.")};
    for (int turn = 0; turn < 3; ++turn) {
      const Json answer =
          service.Chat({{"messages", messages}, {"max_tokens", 20}, {"seed", turn}});
      const Json& said = answer["choices"][0]["message"]["content"];
      service.Settle();
      messages.push_back(Message("assistant", said));
      std::vector<ChatMessage> past;
      for (const Json& message : messages) {
        const std::string role = message["role"];
        past.push_back({.role = role == "system" ? ChatRole::kSystem
                                : role == "user" ? ChatRole::kUser
                                                 : ChatRole::kAssistant,
                        .text = message["content"]});
      }
      messages.push_back(Message("user", "More."));
      const Json next = service.Chat({{"messages", messages}, {"max_tokens", 1}});
      // Bytes are tokens.
      EXPECT_EQ(next["usage"]["prompt_tokens_details"]["cached_tokens"],
                chat.RenderPast(past, {}, {}).text.size())
          << form;
      service.Settle();
    }
  }
}

TEST(ServedChatThreadTest, AnswersAreTheSameWithAndWithoutACache) {
  Service cached(true, "g1"), plain(false, "g1");
  std::mt19937 random(3);
  std::vector<Json> talks(4, Json::array());
  for (int turn = 0; turn < 24; ++turn) {
    Json& messages = talks[random() % talks.size()];
    if (messages.size() > 2 && random() % 4 == 0) {  // goes back and asks something else
      messages.erase(messages.end() - 1);
      messages.erase(messages.end() - 1);
    }
    messages.push_back(Message("user", "Question " + std::to_string(random() % 5)));
    const Json body = {{"messages", messages},
                       {"max_tokens", 1 + random() % 30},
                       {"seed", random() % 100},
                       {"temperature", random() % 2},
                       {"n", 1 + random() % 2},
                       {"no_cache", random() % 5 == 0},
                       {"reasoning_effort", random() % 2 == 0 ? "none" : "medium"},
                       {"logprobs", true}};
    const Json with = cached.Chat(body), without = plain.Chat(body);
    EXPECT_EQ(with["choices"], without["choices"]);
    EXPECT_EQ(without["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    messages.push_back(Message("assistant", with["choices"][0]["message"]["content"]));
  }
}

TEST(ServedChatThreadTest, JsonThatEndsByItselfIsWhatTheSchemaSays) {
  Service service(false);
  const Json schema = Json::parse(R"({"type":"object","properties":{"kind":{"enum":["a","b"]},
    "count":{"type":"integer","minimum":1,"maximum":9}},"required":["kind","count"],
    "additionalProperties":false})");
  size_t whole = 0;
  for (int seed = 0; seed < 20; ++seed) {
    const Json answer = service.Chat(
        {{"messages", {Message("user", "Count.")}},
         {"seed", seed},
         {"temperature", 1},
         {"top_p", 1},
         {"max_tokens", 300},
         {"response_format",
          {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", schema}}}}}});
    const Json& choice = answer["choices"][0];
    if (choice["finish_reason"] == "length") continue;
    ++whole;
    const Json said = Json::parse(choice["message"]["content"].get<std::string>());
    EXPECT_TRUE(said["kind"] == "a" || said["kind"] == "b");
    EXPECT_TRUE(said["count"] >= 1 && said["count"] <= 9);
    EXPECT_EQ(said.size(), 2u);
  }
  EXPECT_GT(whole, 10u);
}

TEST(ServedChatThreadTest, ARequiredCallIsOneOfTheTools) {
  Service service(true, "g1");
  const Json tools = Json::parse(R"([{"type":"function","function":{"name":"add","parameters":
    {"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],
     "additionalProperties":false},"strict":true}},
    {"type":"function","function":{"name":"stop","parameters":{"type":"object","properties":{},
     "additionalProperties":false},"strict":true}}])");
  size_t calls = 0;
  for (int seed = 0; seed < 10; ++seed) {
    const Json answer = service.Chat({{"messages", {Message("user", "Go.")}},
                                      {"tools", tools},
                                      {"tool_choice", "required"},
                                      {"parallel_tool_calls", seed % 2 == 0},
                                      {"temperature", 1},
                                      {"top_p", 1},
                                      {"seed", seed},
                                      {"max_tokens", 400}});
    const Json& choice = answer["choices"][0];
    if (choice["finish_reason"] == "length") continue;
    EXPECT_EQ(choice["finish_reason"], "tool_calls");
    const Json& said = choice["message"]["tool_calls"];
    EXPECT_TRUE(seed % 2 == 0 || said.size() == 1);
    for (const Json& call : said) {
      const Json arguments = Json::parse(call["function"]["arguments"].get<std::string>());
      if (call["function"]["name"] == "add") {
        EXPECT_TRUE(arguments["x"].is_number_integer());
      } else {
        EXPECT_EQ(call["function"]["name"], "stop");
        EXPECT_TRUE(arguments.empty());
      }
      ++calls;
    }
  }
  EXPECT_GT(calls, 0u);
}

TEST(ServedChatThreadTest, CompletionsScoreTheirPrompt) {
  Service service(true);
  const Json body = {{"prompt", "the quick fox"}, {"echo", true},     {"logprobs", 2},
                     {"max_tokens", 5},           {"temperature", 0}, {"presence_penalty", 0},
                     {"frequency_penalty", 0}};
  const Json answer = service.Complete(body)["choices"][0];
  const Json& logprobs = answer["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), 18u);
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_EQ(logprobs["top_logprobs"][17].size(), 2u);
  // What was written greedily has, as a prompt, the same probabilities.
  Json again = body;
  again["prompt"] = answer["text"];
  again["max_tokens"] = 0;
  const Json scored = service.Complete(again)["choices"][0]["logprobs"];
  EXPECT_EQ(scored["token_logprobs"], logprobs["token_logprobs"]);
}

TEST(ServedChatThreadTest, AClientThatLeavesFreesItsPlace) {
  // The scheduler cancels: without it, this text would take hours.
  Service service(false);
  const Json body = {{"prompt", "a"}, {"max_tokens", 1 << 30}, {"stream", true}};
  const auto reply = service.Begin("/v1/completions", body);
  EXPECT_TRUE(reply->WaitForChunks(3));
  reply->Leave();
  service.Settle();
}

}  // namespace
}  // namespace linnet
