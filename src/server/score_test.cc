// /v1/score, /v1/choose and /v1/rerank.
#include "server/score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/choose.h"
#include "server/rerank.h"
#include "server/test_server.h"
#include "server/token_fields.h"

namespace linnet {
namespace {

class ScoreRoutesTest : public testing::Test {
 protected:
  ScoreRoutesTest() : model_(test::ScriptedModel(scheduler_)) {
    const auto models = std::make_shared<const ServedModels>(
        std::vector<std::shared_ptr<const ServedModel>>{model_});
    AddScoreRoutes(router_, models);
    AddChooseRoutes(router_, models);
    AddRerankRoutes(router_, models);
  }
  Json Post(const std::string& path, const std::string& body, int status = 200) {
    const auto reply = test::Ask(router_, "POST", path, body);
    EXPECT_EQ(reply->status, status) << reply->body;
    tokens_ = reply->tokens;
    return Json::parse(reply->body);
  }
  std::string PromptOfJob(size_t job) const {
    return model_->tokenizer->Decode(scheduler_.jobs.at(job).prompt);
  }

  test::ScriptedScheduler scheduler_;
  std::shared_ptr<ServedModel> model_;
  Router router_;
  size_t tokens_ = 0;
};

TEST_F(ScoreRoutesTest, ScoresEachContinuationAndItsTokens) {
  scheduler_.logprob = [](const Job&, size_t i, size_t token) {
    return i == 0 ? -0.25f : -1.0f - static_cast<float>(token);
  };
  scheduler_.cached = 2;
  const Json answer =
      Post("/v1/score", R"({"context":"The sky","continuations":[" is",[97,98.0]]})");
  EXPECT_EQ(answer, Json::parse(R"({"object":"list","model":"tiny","data":[
    {"object":"score","index":0,"logprob":-0.75,"is_greedy":true,"bytes":3,"tokens":[32,105,115],
     "token_logprobs":[-0.25,-0.25,-0.25]},
    {"object":"score","index":1,"logprob":-3.0,"is_greedy":false,"bytes":2,"tokens":[97,98],
     "token_logprobs":[-1.0,-2.0]}],
    "usage":{"prompt_tokens":12,"completion_tokens":0,"total_tokens":12,
     "prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":0,
     "accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}})"));
  EXPECT_EQ(tokens_, 12u);
  ASSERT_EQ(scheduler_.jobs.size(), 1u);  // the context is read once
  EXPECT_EQ(PromptOfJob(0), "The sky");
  EXPECT_TRUE(scheduler_.jobs[0].use_cache);
}

TEST_F(ScoreRoutesTest, TheLikeliestTokensHaveIds) {
  const Json answer = Post(
      "/v1/score", R"({"prompt":[1,2],"continuations":["x"],"top_logprobs":2,"no_cache":true})");
  EXPECT_EQ(answer["data"][0]["top_logprobs"], Json::parse(R"([[
    {"token":"a","logprob":-0.25,"bytes":[97],"id":97},
    {"token":"b","logprob":-0.25,"bytes":[98],"id":98}]])"));
  EXPECT_FALSE(scheduler_.jobs[0].use_cache);
}

// A long context keeps a state where the same context can go on, and one at its end.
TEST_F(ScoreRoutesTest, StatesAreKeptBeforeAndAfterTheLastToken) {
  Post("/v1/score", R"({"context":")" + std::string(100, 'x') + R"(","continuations":["y"]})");
  EXPECT_EQ(scheduler_.jobs[0].marks, (std::vector<size_t>{99, 100}));
  Post("/v1/score", R"({"context":"","continuations":["y"]})");
  EXPECT_EQ(scheduler_.jobs[1].prompt, std::vector<int32_t>{});
}

TEST_F(ScoreRoutesTest, BadFieldsAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"continuations":["a"]})", "context"},
      {R"({"context":7,"continuations":["a"]})", "context"},
      {R"({"context":[256],"continuations":["a"]})", "context"},
      {R"({"context":"a"})", "continuations"},
      {R"({"context":"a","continuations":[]})", "continuations"},
      {R"({"context":"a","continuations":"b"})", "continuations"},
      {R"({"context":"a","continuations":["b",""]})", "continuations[1]"},
      {R"({"context":"a","continuations":["b",[]]})", "continuations[1]"},
      {R"({"context":"a","continuations":[[-1]]})", "continuations[0]"},
      {R"({"context":"a","continuations":["b"],"top_logprobs":21})", "top_logprobs"}};
  for (const auto& [body, param] : cases) {
    EXPECT_EQ(Post("/v1/score", body, 400).at("error").at("param"), param) << body;
  }
  EXPECT_TRUE(scheduler_.jobs.empty());
}

TEST_F(ScoreRoutesTest, AFailureIsTheAnswerAndAClientThatLeavesCancels) {
  scheduler_.holds = true;
  const std::string body = R"({"context":"a","continuations":["b"]})";
  const auto failed = test::Ask(router_, "POST", "/v1/score", body);
  scheduler_.held[0].listener->OnError({ErrorKind::kBusy, "too late"});
  EXPECT_EQ(failed->status, 429);
  const auto left = test::Ask(router_, "POST", "/v1/score", body);
  left->Leave();
  EXPECT_EQ(scheduler_.cancelled.back(), 2u);
  const auto stopped = test::Ask(router_, "POST", "/v1/score", body);
  scheduler_.held[2].listener->OnEnd(0, {.finish = Finish::kInterrupted});
  scheduler_.held[2].listener->OnDone();
  EXPECT_EQ(stopped->status, 429);
}

// What Ai00 calls perplexity is the mean, so a longer choice is not worse for its length.
TEST_F(ScoreRoutesTest, ChoicesAreRankedByTheMeanOfTheirTokens) {
  const float means[] = {-1.0f, -0.5f, -2.0f};
  scheduler_.logprob = [&](const Job&, size_t i, size_t) { return means[i]; };
  const Json answer =
      Post("/v1/choose", R"({"input":"The sky is","choices":[" red"," light blue",[1]]})");
  EXPECT_EQ(answer["calibrated"], false);
  const Json& data = answer["data"];
  ASSERT_EQ(data.size(), 3u);
  EXPECT_EQ(data[0]["index"], 1);
  EXPECT_EQ(data[0]["rank"], 0);
  EXPECT_EQ(data[0]["choice"], " light blue");
  EXPECT_EQ(data[0]["score"], -0.5);
  EXPECT_EQ(data[0]["logprob"], -5.5);
  EXPECT_EQ(data[0]["tokens"], 11);
  EXPECT_EQ(data[1]["index"], 0);
  EXPECT_EQ(data[2]["choice"], Json::parse("[1]"));
  const double sum = std::exp(-1.0) + std::exp(-0.5) + std::exp(-2.0);
  EXPECT_NEAR(data[0]["probability"].get<double>(), std::exp(-0.5) / sum, 1e-12);
  EXPECT_NEAR(data[1]["probability"].get<double>(), std::exp(-1.0) / sum, 1e-12);
  const Json by_sum =
      Post("/v1/choose",
           R"({"prompt":"The sky is","choices":[" red"," light blue"],"normalize":"none"})");
  EXPECT_EQ(by_sum["data"][0]["choice"], " red");
  EXPECT_EQ(by_sum["data"][0]["score"], -4.0);
}

TEST_F(ScoreRoutesTest, CalibrationSubtractsTheNeutralPrompt) {
  // " red" is likely everywhere, " blue" only after the prompt.
  scheduler_.logprob = [](const Job& job, size_t i, size_t) {
    const bool neutral = job.prompt.size() != 3;
    return i == 0 ? -1.0f : neutral ? -4.0f : -1.5f;
  };
  const std::string body = R"({"input":"Sky","choices":[" red"," blue"])";
  EXPECT_EQ(Post("/v1/choose", body + "}")["data"][0]["index"], 0);
  const Json answer = Post("/v1/choose", body + R"(,"calibrate":true})");
  EXPECT_EQ(answer["calibrated"], true);
  EXPECT_EQ(answer["data"][0]["index"], 1);
  EXPECT_EQ(answer["data"][0]["score"], 2.5);
  EXPECT_EQ(answer["data"][0]["neutral_logprob"], -20.0);
  EXPECT_EQ(answer["data"][1]["score"], 0.0);
  EXPECT_TRUE(scheduler_.jobs.back().prompt.empty());
  Post("/v1/choose", body + R"(,"neutral_prompt":"It is"})");
  EXPECT_EQ(PromptOfJob(scheduler_.jobs.size() - 1), "It is");
  EXPECT_EQ(Post("/v1/choose", R"({"input":"a","choices":["b",""]})", 400)["error"]["param"],
            "choices[1]");
  EXPECT_EQ(Post("/v1/choose", R"({"choices":["b"]})", 400)["error"]["param"], "input");
}

TEST_F(ScoreRoutesTest, DocumentsAreRankedByTheQueryAfterThem) {
  scheduler_.logprob = [](const Job& job, size_t, size_t) {
    return -static_cast<float>(job.prompt[0] - 'a') - 0.5f;
  };
  const std::string body = R"({"query":"who?","documents":["cats",{"text":"ants"},"bees"])";
  Json answer = Post("/v1/rerank", body + R"(,"top_n":2,"return_documents":true})");
  EXPECT_EQ(answer["results"].size(), 2u);
  EXPECT_EQ(answer["results"][0]["index"], 1);
  EXPECT_NEAR(answer["results"][0]["relevance_score"].get<double>(), std::exp(-0.5), 1e-12);
  EXPECT_EQ(answer["results"][0]["document"]["text"], "ants");
  EXPECT_EQ(answer["results"][1]["index"], 2);
  EXPECT_NE(answer["scoring"].get<std::string>().find("not calibrated"), std::string::npos);
  EXPECT_EQ(PromptOfJob(0), "cats\n\nQuestion:");
  EXPECT_EQ(model_->tokenizer->Decode(scheduler_.jobs[0].continuations.at(0)), " who?");
  answer = Post("/v2/rerank", body + "}");
  EXPECT_EQ(answer["results"].size(), 3u);
  EXPECT_FALSE(answer["results"][0].contains("document"));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"documents":["a"]})", "query"},
      {R"({"query":"","documents":["a"]})", "query"},
      {R"({"query":"a","documents":[]})", "documents"},
      {R"({"query":"a","documents":[1]})", "documents[0]"},
      {R"({"query":"a","documents":[{"title":"b"}]})", "documents[0].text"},
      {R"({"query":"a","documents":["b"],"top_n":0})", "top_n"}};
  for (const auto& [bad, param] : cases) {
    EXPECT_EQ(Post("/v1/rerank", bad, 400)["error"]["param"], param) << bad;
  }
}

// Of many documents some are in the scheduler at a time.
TEST_F(ScoreRoutesTest, AFewOfManyDocumentsRunAtOnce) {
  scheduler_.holds = true;
  Json body = {{"query", "q"}, {"documents", std::vector<std::string>(300, "d")}};
  const auto reply = test::Ask(router_, "POST", "/rerank", body.dump());
  EXPECT_EQ(scheduler_.held.size(), 32u);
  for (size_t i = 0; i < scheduler_.held.size(); ++i) {
    const auto held = scheduler_.held[i];
    scheduler_.Run(held.job, *held.listener);
  }
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(Json::parse(reply->body)["results"].size(), 300u);
}

// A token that reaches over the border between context and continuation is not used.
TEST(TokensAfterTest, AreThoseOfTheWholeTextUnlessATokenReachesOver) {
  const auto world = Tokenizer::ForVocabulary(65536);
  const auto after = [&](const std::string& before, const std::string& text) {
    return TokensAfter(*world, {before, world->Encode(before), true}, text);
  };
  EXPECT_EQ(after("The sky is", " blue"), world->Encode(" blue"));
  EXPECT_EQ(world->Encode("Hello").size(), 1u);
  EXPECT_EQ(after("Hel", "lo there"), world->Encode("lo there"));
  // Long contexts too, whose end is enough.
  std::string long_text;
  for (int i = 0; i < 400; ++i) long_text += "The cat sat on a mat, é日本. ";
  for (const std::string text : {" Then it", "x", "\n\nUser:", "本"}) {
    const auto tokens = after(long_text, text);
    auto whole = world->Encode(long_text + text);
    const auto known = world->Encode(long_text);
    if (std::equal(known.begin(), known.end(), whole.begin())) {
      whole.erase(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(known.size()));
      EXPECT_EQ(tokens, whole) << text;
    } else {
      EXPECT_EQ(tokens, world->Encode(text)) << text;
    }
    EXPECT_EQ(world->Decode(tokens), text);
  }
}

}  // namespace
}  // namespace linnet
