// Ai00's routes.
#include "server/ai00.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/scheduler.h"
#include "models/state_layouts.h"
#include "models/test_models.h"
#include "server/test_server.h"

namespace linnet {
namespace {

class Ai00Test : public testing::Test {
 protected:
  Ai00Test() : model_(test::ScriptedModel(scheduler_)) { Serve(model_); }
  void Serve(const std::shared_ptr<ServedModel>& model) {
    router_ = {};
    const auto models = std::make_shared<const ServedModels>(
        std::vector<std::shared_ptr<const ServedModel>>{model});
    AddAi00Texts(router_, models);
    AddAi00Others(router_, models);
  }
  std::shared_ptr<test::RecordedReply> Ask(const std::string& path, const std::string& body) {
    auto reply = test::Ask(router_, "POST", "/api/oai" + path, body);
    EXPECT_TRUE(reply->WaitForEnd());
    return reply;
  }
  Json Post(const std::string& path, const std::string& body, int status = 200) {
    const auto reply = Ask(path, body);
    EXPECT_EQ(reply->status, status) << reply->body;
    return Json::parse(reply->body);
  }
  std::string Prompt() const { return model_->tokenizer->Decode(scheduler_.jobs.back().prompt); }

  test::ScriptedScheduler scheduler_;
  std::shared_ptr<ServedModel> model_;
  Router router_;
};

constexpr const char* kHi = R"("messages":[{"role":"user","content":"Hi"}])";

TEST_F(Ai00Test, AChatHasAi00sTemplateAndDefaults) {
  scheduler_.texts = {" Hello. "};
  Json answer = Post("/chat/completions", std::string("{") + kHi + "}");
  EXPECT_EQ(Prompt(), "User: Hi\n\nAssistant:");
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["model"], "tiny");
  EXPECT_EQ(answer["choices"], Json::parse(R"([{"message":{"role":"Assistant","content":"Hello."},
    "index":0,"finish_reason":"stop"}])"));
  EXPECT_EQ(answer["usage"]["prompt"], 20);
  EXPECT_EQ(answer["usage"]["completion"], 8);
  EXPECT_EQ(answer["usage"]["total"], 28);
  EXPECT_TRUE(answer["usage"]["duration"]["nanos"].is_number());
  const Job& job = scheduler_.jobs.back();
  EXPECT_EQ(job.text.max_tokens, 256u);
  EXPECT_EQ(job.text.stops, std::vector<std::string>{"\n\n"});
  EXPECT_EQ(job.sampler.top_p, 0.5f);
  EXPECT_EQ(job.sampler.top_k, 128);
  EXPECT_EQ(job.sampler.presence_penalty, 0.3f);
  EXPECT_EQ(job.sampler.frequency_penalty, 0.3f);
  EXPECT_EQ(job.sampler.penalty_decay, 0.99654026f);
  EXPECT_EQ(job.sampler.penalty, PenaltyKind::kAi00);
  EXPECT_FALSE(job.sampler.mirostat);
}

TEST_F(Ai00Test, RolesNamesAndTemplateMakeThePrompt) {
  Post("/chat/completions", R"({"messages":[{"role":"System","content":" Be\n \n\nkind. "},
    {"role":"User","content":"Rain?"},{"role":"assistant","content":"call"},
    {"role":"tool","content":"{content} 2"}],"names":{"User":"Bob","assistant":"Alice"}})");
  EXPECT_EQ(Prompt(),
            "System: Be\nkind.\n\nBob: Rain?\n\nAlice: call\n\nObservation: {content} "
            "2\n\nAlice:");
  Post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"{role}"}],
    "template":{"record":"<{role}>{content}</{role}>","prefix":"<{assistant}>","sep":"\n"}})");
  EXPECT_EQ(Prompt(), "<User>{role}</User>\n<Assistant>");
  EXPECT_EQ(Post("/chat/completions", R"({"messages":[{"role":"me","content":"a"}]})",
                 400)["error"]["param"],
            "messages[0].role");
  EXPECT_EQ(Post("/chat/completions", "{}", 400)["error"]["param"], "messages");
}

TEST_F(Ai00Test, StreamsBeginWithTheRole) {
  scheduler_.texts = {" Hi."};
  scheduler_.piece_bytes = 2;
  auto events =
      test::EventsOf(*Ask("/chat/completions", std::string("{\"stream\":true,") + kHi + "}"));
  const std::string head =
      R"({"object":"chat.completion.chunk","model":"tiny","choices":[{"delta":)";
  EXPECT_EQ(events, (std::vector<std::string>{
                        head + R"({"role":"Assistant"},"index":0,"finish_reason":null}]})",
                        head + R"({"content":"H"},"index":0,"finish_reason":null}]})",
                        head + R"({"content":"i."},"index":0,"finish_reason":null}]})",
                        head + R"({},"index":0,"finish_reason":"stop"}]})", "[DONE]"}));
  events =
      test::EventsOf(*Ask("/completions", R"({"prompt":["a","b"],"stream":true,"max_tokens":1})"));
  EXPECT_EQ(Prompt(), "ab");
  EXPECT_EQ(
      events[0],
      R"({"object":"text_completion.chunk","model":"tiny","choices":[{"delta":{"content":" H"},)"
      R"("index":0,"finish_reason":null}]})");
  EXPECT_NE(events[1].find(R"("finish_reason":"length")"), std::string::npos);
  EXPECT_EQ(events.back(), "[DONE]");
}

TEST_F(Ai00Test, SamplersOfThreeKinds) {
  const auto sampler = [&](const std::string& fields) {
    Post("/completions", R"({"prompt":"a",)" + fields + "}");
    return scheduler_.jobs.back().sampler;
  };
  EXPECT_EQ(sampler(R"("sampler":{"top_p":0.9,"penalty_decay":0.9})").top_p, 0.9f);
  EXPECT_EQ(sampler(R"("top_p":0.1,"top_k":5,"temperature":2)").top_k, 5);
  auto s = sampler(R"("sampler_override":{"type":"Typical","tau":0.7,"temperature":0.8})");
  EXPECT_EQ(s.typical, 0.7f);
  EXPECT_EQ(s.temperature, 0.8f);
  EXPECT_EQ(s.top_k, 0);
  EXPECT_EQ(s.penalty, PenaltyKind::kAi00);
  s = sampler(R"("sampler":{"type":"Mirostat","learning_rate":0.2})");
  ASSERT_TRUE(s.mirostat);
  EXPECT_EQ(s.mirostat->tau, 3.0f);
  EXPECT_EQ(s.mirostat->rate, 0.2f);
  EXPECT_EQ(sampler(R"("bias":{"97":2.5})").logit_bias.at(97), 2.5f);
  EXPECT_EQ(sampler(R"("logit_bias":{"98":1})").logit_bias.at(98), 1.0f);
  Post("/completions", R"({"prompt":"a","sampler":{"type":"Other"}})", 400);
  Post("/completions", R"({"prompt":"a","sampler":{"top_p":7}})", 400);
  Post("/completions", R"({"prompt":"a","bnf_schema":"start ::= 'yes'|'no';"})");
  EXPECT_NE(scheduler_.jobs.back().grammar, nullptr);
  EXPECT_EQ(
      Post("/completions", R"({"prompt":"a","bnf_schema":"start ::="})", 400)["error"]["param"],
      "bnf_schema");
}

TEST_F(Ai00Test, ChoicesHavePerplexitiesTheLowestFirst) {
  const float means[] = {-1.0f, -0.25f};
  scheduler_.logprob = [&](const Job& job, size_t i, size_t) {
    return job.prompt.empty() && i == 1 ? -0.125f : means[i];
  };
  const std::string body = R"({"input":["a","b"],"choices":["x","yy"])";
  EXPECT_EQ(Post("/chooses", body + "}"), Json::parse(R"({"object":"list","model":"tiny","data":[
    {"object":"choice","index":1,"rank":0,"choice":"yy","perplexity":0.25},
    {"object":"choice","index":0,"rank":1,"choice":"x","perplexity":1.0}]})"));
  const Json calibrated = Post("/chooses", body + R"(,"calibrate":true})");
  EXPECT_EQ(calibrated["data"][0]["perplexity"], 0.0);
  EXPECT_EQ(calibrated["data"][0]["choice"], "x");
  EXPECT_EQ(calibrated["data"][1]["perplexity"], 0.125);
}

TEST_F(Ai00Test, WhatIsServed) {
  const auto get = [&](const std::string& path) {
    return Json::parse(test::Ask(router_, "GET", path)->body);
  };
  EXPECT_EQ(get("/api/oai/models"), Json::parse(R"({"data":[{"object":"models","id":"tiny"}]})"));
  EXPECT_EQ(get("/api/models/info")["model"]["num_vocab"], 256);
  EXPECT_EQ(get("/api/adapters"), Json::array({"CPU"}));
  const auto state = test::Ask(router_, "GET", "/api/models/state");
  EXPECT_EQ(Json::parse(test::EventsOf(*state).at(0)), get("/api/models/info"));
}

// On a real model: a state goes to the client and comes back.
TEST_F(Ai00Test, TheClientCarriesTheState) {
  for (const char* generation : {"7", "5.2", "4"}) {
    const Model model = Model::Open(test::LetterModel(generation));
    Workspace workspace({.threads = 1});
    Scheduler scheduler(model, model_->tokenizer, workspace, nullptr);
    const auto served = std::make_shared<ServedModel>(*model_);
    served->model = &model;
    UseScheduler(*served, scheduler);
    Serve(served);
    const Json states = Post("/states", R"({"input":["once upon"," a time"]})");
    EXPECT_EQ(states["usage"]["prompt"], 16);
    const Json& data = states["data"][0];
    EXPECT_EQ(data["object"], "states");
    EXPECT_EQ(data["shape"].size(), 4u);
    State read = model.NewState();
    const auto tokens = model_->tokenizer->Encode("once upon a time");
    model.Forward({tokens, &read, {}}, workspace);
    EXPECT_EQ(data["data"].get<std::vector<float>>(), ToWebRwkv(read).values);
    const std::string rest = R"("max_tokens":12,"top_k":1)";
    const Json whole = Post("/completions", R"({"prompt":"once upon a time there",)" + rest + "}");
    Json body = Json::parse(R"({"prompt":" there",)" + rest + "}");
    body["state"] = {
        {"name", "mine"}, {"id", "x"}, {"data", data["data"]}, {"shape", data["shape"]}};
    EXPECT_EQ(Post("/completions", body.dump())["choices"], whole["choices"]);
    const Json both = Post("/states", R"({"input":"once upon a time there"})")["data"][0]["data"];
    body["input"] = " there";
    EXPECT_EQ(Post("/states", body.dump())["data"][0]["data"], both);
    body["state"]["shape"][0] = 7;
    Post("/completions", body.dump(), 422);
    body["state"] = "00000000-0000-0000-0000-000000000000";
    EXPECT_NE(Post("/states", body.dump())["data"][0]["data"], both);
    for (const Json& bad : {Json("00000000-0000-0000-0000-000000000001"),
                            Json{{"name", "a"}, {"id", "b"}, {"path", "/etc/passwd"}}}) {
      body["state"] = bad;
      Post("/completions", body.dump(), 422);
    }
    const Json embeds = Post("/embeds", R"({"input":"one two three four","max_tokens":6})");
    const Json& chunks = embeds["data"][0]["chunks"];
    EXPECT_EQ(embeds["object"], "embeds");
    std::string text;
    for (const Json& chunk : chunks) {
      text += chunk["chunk"];
      EXPECT_EQ(chunk["embed"][0].size(), model.config().width);
    }
    EXPECT_EQ(text, "one two three four");
    EXPECT_GT(chunks.size(), 2u);
  }
}

}  // namespace
}  // namespace linnet
