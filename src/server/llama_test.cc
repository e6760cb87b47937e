// llama-server's routes.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/llama_completion.h"
#include "server/llama_status.h"
#include "server/test_server.h"

namespace linnet {
namespace {

class LlamaTest : public testing::Test {
 protected:
  LlamaTest() : model_(test::ScriptedModel(scheduler_)) {
    model_->load = [this] { return load_; };
    const auto models = std::make_shared<const ServedModels>(
        std::vector<std::shared_ptr<const ServedModel>>{model_});
    AddLlamaCompletion(router_, models);
    AddLlamaStatus(router_, models);
  }
  std::shared_ptr<test::RecordedReply> Ask(const std::string& body,
                                           const std::string& path = "/completion") {
    return test::Ask(router_, "POST", path, body);
  }
  Json Post(const std::string& body, int status = 200, const std::string& path = "/completion") {
    const auto reply = Ask(body, path);
    EXPECT_EQ(reply->status, status) << reply->body;
    return Json::parse(reply->body);
  }
  Json Get(const std::string& path, const std::string& query = "", int status = 200) {
    auto reply = std::make_shared<test::RecordedReply>();
    HttpRequest request;
    request.method = "GET";
    request.path = path;
    request.query = query;
    router_.Handle(std::move(request), reply);
    EXPECT_EQ(reply->status, status);
    return Json::parse(reply->body);
  }

  test::ScriptedScheduler scheduler_;
  std::shared_ptr<ServedModel> model_;
  ServedLoad load_{.running = 1, .places = 3};
  Router router_;
};

TEST_F(LlamaTest, AWholeAnswerHasAllFields) {
  scheduler_.cached = 2;
  Json answer = Post(R"({"prompt":"Hi","n_predict":9,"return_tokens":true,"id_slot":5})");
  EXPECT_EQ(answer["content"], "Hello.");
  EXPECT_EQ(answer["tokens"], (Json{'H', 'e', 'l', 'l', 'o', '.'}));
  EXPECT_EQ(answer["prompt"], "Hi");
  EXPECT_EQ(answer["stop"], true);
  EXPECT_EQ(answer["stop_type"], "eos");
  EXPECT_EQ(answer["stopping_word"], "");
  EXPECT_EQ(answer["tokens_predicted"], 6);
  EXPECT_EQ(answer["tokens_evaluated"], 2);
  EXPECT_EQ(answer["tokens_cached"], 8);
  EXPECT_EQ(answer["truncated"], false);
  EXPECT_EQ(answer["has_new_line"], false);
  EXPECT_EQ(answer["model"], "tiny");
  EXPECT_EQ(answer["generation_settings"]["n_predict"], 9);
  EXPECT_EQ(answer["timings"]["cache_n"], 2);
  EXPECT_EQ(answer["timings"]["prompt_n"], 0);
  EXPECT_EQ(answer["timings"]["predicted_n"], 6);
  for (const char* name : {"prompt_ms", "prompt_per_token_ms", "prompt_per_second", "predicted_ms",
                           "predicted_per_token_ms", "predicted_per_second"}) {
    EXPECT_GE(answer["timings"][name].get<double>(), 0) << name;
  }
  EXPECT_FALSE(answer.contains("completion_probabilities"));
  EXPECT_EQ(Post(R"({"prompt":"Hi"})")["tokens"], Json::array());
}

TEST_F(LlamaTest, GuessesAreCountedIfThereWereAny) {
  EXPECT_FALSE(Post(R"({"prompt":"Hi"})")["timings"].contains("draft_n"));
  scheduler_.speculation = {.passes = 2, .guessed = 7, .accepted = 3};
  const Json timings = Post(R"({"prompt":"Hi"})")["timings"];
  EXPECT_EQ(timings["draft_n"], 7);
  EXPECT_EQ(timings["draft_n_accepted"], 3);
}

TEST_F(LlamaTest, WhatEndedATextIsTold) {
  Json answer = Post(R"({"prompt":"Hi","stop":["lo"]})");
  EXPECT_EQ(answer["content"], "Hel");
  EXPECT_EQ(answer["stop_type"], "word");
  EXPECT_EQ(answer["stopping_word"], "lo");
  answer = Post(R"({"prompt":"Hi","n_predict":2})");
  EXPECT_EQ(answer["stop_type"], "limit");
  scheduler_.texts = {"a\nb"};
  EXPECT_EQ(Post(R"({"prompt":"Hi"})")["has_new_line"], true);
}

TEST_F(LlamaTest, PromptsAreTextsTokensOrBoth) {
  const std::vector<std::pair<std::string, std::vector<std::vector<int32_t>>>> cases = {
      {R"("ab")", {{'a', 'b'}}},
      {"[97,98]", {{97, 98}}},
      {R"(["a",98,"cd"])", {{'a', 98, 'c', 'd'}}},
      {R"(["a","b"])", {{'a'}, {'b'}}},
      {R"([[97],["b",99],"d"])", {{97}, {'b', 99}, {'d'}}}};
  for (const auto& [prompt, tokens] : cases) {
    scheduler_.jobs.clear();
    const Json answer = Post(R"({"prompt":)" + prompt + "}");
    ASSERT_EQ(scheduler_.jobs.size(), tokens.size()) << prompt;
    for (size_t i = 0; i < tokens.size(); ++i) EXPECT_EQ(scheduler_.jobs[i].prompt, tokens[i]);
    EXPECT_EQ(answer.is_array(), tokens.size() > 1);
    if (answer.is_array()) {
      EXPECT_EQ(answer[tokens.size() - 1]["index"], tokens.size() - 1);
    }
  }
  for (const char* bad : {"7", "[]", "[256]", R"(["a",[-1]])", "[[97],null]", "null"}) {
    Post(R"({"prompt":)" + std::string(bad) + "}", 400);
  }
}

TEST_F(LlamaTest, AStreamEndsWithTheWholeAnswerAndWithoutDone) {
  const auto reply = Ask(R"({"prompt":"Hi","stream":true,"n_probs":2,"timings_per_token":true})");
  EXPECT_EQ(reply->content_type, "text/event-stream");
  const auto events = test::EventsOf(*reply);
  ASSERT_EQ(events.size(), 7u);
  std::string text;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const Json event = Json::parse(events[i]);
    text += event["content"];
    EXPECT_EQ(event["stop"], false);
    EXPECT_EQ(event["tokens"].size(), 1u);
    EXPECT_EQ(event["tokens_predicted"], i + 1);
    EXPECT_EQ(event["tokens_evaluated"], 2);
    EXPECT_EQ(event["timings"]["predicted_n"], i + 1);
    const Json& token = event["completion_probabilities"][0];
    EXPECT_EQ(token["id"], event["tokens"][0]);
    EXPECT_EQ(token["token"], event["content"]);
    EXPECT_EQ(token["logprob"], -0.25);
    EXPECT_EQ(token["top_logprobs"][1]["id"], 'b');
  }
  EXPECT_EQ(text, "Hello.");
  const Json last = Json::parse(events.back());
  EXPECT_EQ(last["content"], "");
  EXPECT_EQ(last["stop"], true);
  EXPECT_EQ(last["tokens_predicted"], 6);
}

TEST_F(LlamaTest, FieldsBecomeTheJob) {
  Post(R"({"prompt":"a","n_probs":3,"n_cmpl":2,"temperature":0.5,"top_k":40,"min_p":0.05,
    "cache_prompt":false,"ignore_eos":true,"seed":7,"stop":["x"],"repeat_penalty":1.1,
    "samplers":["top_k"],"grammar":"root ::= \"a\""})");
  const Job& job = scheduler_.jobs.back();
  EXPECT_EQ(job.logprobs, 3u);
  EXPECT_EQ(job.choices, 2u);
  EXPECT_EQ(job.sampler.temperature, 0.5f);
  EXPECT_EQ(job.sampler.top_k, 40);
  EXPECT_EQ(job.sampler.seed, 7u);
  EXPECT_FALSE(job.use_cache);
  EXPECT_TRUE(job.text.stop_ids.empty());
  EXPECT_NE(job.grammar, nullptr);
  Post(R"({"prompt":"a","json_schema":{"type":"object"}})");
  EXPECT_NE(scheduler_.jobs.back().grammar, nullptr);
  EXPECT_EQ(Post(R"({"prompt":"a","post_sampling_probs":true})", 400)["error"]["param"],
            "post_sampling_probs");
}

TEST_F(LlamaTest, ResponseFieldsChooseWhatIsTold) {
  EXPECT_EQ(Post(R"({"prompt":"a","seed":3,"response_fields":["content","none",
    "generation_settings/seed"]})"),
            Json::parse(R"({"content":"Hello.","generation_settings/seed":3})"));
  Post(R"({"prompt":"a","response_fields":["tokens/99999999999999999999"]})", 400);
}

// Clients of both kinds call /completions.
TEST_F(LlamaTest, CompletionsAnswerInTheFormOfTheRequest) {
  EXPECT_EQ(Post(R"({"prompt":"a","n_predict":4})", 200, "/completions")["content"], "Hell");
  EXPECT_EQ(Post(R"({"prompt":"a","max_tokens":4})", 200, "/completions")["choices"][0]["text"],
            "Hell");
  EXPECT_EQ(
      Post(R"({"prompt":"a","max_tokens":4,"cache_prompt":true})", 200, "/completions")["object"],
      "text_completion");
  EXPECT_EQ(Post(R"({"prompt":"a"})", 200, "/completions")["object"], "text_completion");
}

TEST_F(LlamaTest, AFailureIsTheAnswerOrTheLastEvent) {
  scheduler_.holds = true;
  const auto whole = Ask(R"({"prompt":["a","b"]})");
  scheduler_.held[1].listener->OnError({ErrorKind::kBusy, "too late"});
  EXPECT_EQ(whole->status, 429);
  EXPECT_EQ(scheduler_.cancelled, (std::vector<uint64_t>{1, 2}));
  const auto stream = Ask(R"({"prompt":"a","stream":true})");
  scheduler_.held[2].listener->OnStart();
  scheduler_.held[2].listener->OnError({ErrorKind::kBusy, "too late"});
  EXPECT_NE(test::EventsOf(*stream).back().find("too late"), std::string::npos);
}

TEST_F(LlamaTest, PropsAndSlots) {
  const Json props = Get("/props");
  EXPECT_EQ(props["total_slots"], 3);
  EXPECT_EQ(props["default_generation_settings"]["n_ctx"], 4096);
  EXPECT_EQ(props["default_generation_settings"]["params"]["temperature"], 1.0);
  EXPECT_NE(props["chat_template"].get<std::string>().find("add_generation_prompt"),
            std::string::npos);
  EXPECT_EQ(props["chat_template_caps"]["supports_tools"], true);
  EXPECT_EQ(props["modalities"]["vision"], false);
  EXPECT_EQ(props["is_sleeping"], false);
  const Json slots = Get("/slots");
  ASSERT_EQ(slots.size(), 3u);
  EXPECT_EQ(slots[0]["is_processing"], true);
  EXPECT_EQ(slots[1]["is_processing"], false);
  EXPECT_EQ(slots[2]["id"], 2);
  Get("/slots", "fail_on_no_slot=1");
  load_.running = 3;
  Get("/slots", "fail_on_no_slot=1", 503);
  Get("/props", "model=other", 404);
}

TEST_F(LlamaTest, InfillIsRefusedInALine) {
  const Json answer = Post(R"({"input_prefix":"a","input_suffix":"b"})", 501, "/infill");
  EXPECT_NE(answer["error"]["message"].get<std::string>().find("/v1/completions"),
            std::string::npos);
}

}  // namespace
}  // namespace linnet
