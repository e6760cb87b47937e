#include "server/embeddings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "server/scripted_model.h"

namespace linnet {
namespace {

using test::AnswerTo;
using test::Call;
using test::ScriptedModel;

class EmbeddingsTest : public testing::Test {
 protected:
  EmbeddingsTest() {
    AddEmbeddingRoutes(
        router_, std::make_shared<ServedModels>(
                     std::vector<std::shared_ptr<const ServedModel>>{ScriptedModel(engine_)}));
  }
  Json Post(const std::string& body, int status = 200) {
    return AnswerTo(router_, "POST", "/v1/embeddings", body, "", status);
  }
  test::ScriptedEngine engine_;
  Router router_;
};

TEST_F(EmbeddingsTest, OneTextIsAListOfOneVectorOfLengthOne) {
  EXPECT_EQ(Post(R"({"model":"tiny","input":"abc","user":"me"})"), Json::parse(R"({
    "object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,0,-0.8]}],
    "model":"tiny","usage":{"prompt_tokens":3,"total_tokens":3}})"));
  EXPECT_TRUE(engine_.jobs.at(0).embed);
  EXPECT_EQ(engine_.jobs.at(0).text.max_tokens, 0u);
}

TEST_F(EmbeddingsTest, TextsAndTokensAreInputs) {
  const std::vector<std::pair<std::string, std::vector<std::vector<int32_t>>>> cases = {
      {R"(["a","bc"])", {{97}, {98, 99}}},
      {"[97,0.0]", {{97, 0}}},
      {"[[97],[98,99]]", {{97}, {98, 99}}},
      {R"([[97],"b"])", {{97}, {98}}}};
  for (const auto& [input, tokens] : cases) {
    engine_.jobs.clear();
    EXPECT_EQ(Post(R"({"input":)" + input + "}").at("data").size(), tokens.size());
    ASSERT_EQ(engine_.jobs.size(), tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i) EXPECT_EQ(engine_.jobs[i].prompt, tokens[i]);
  }
}

TEST_F(EmbeddingsTest, AFewOfManyRunAtOnce) {
  engine_.hold = true;
  Json input = Json::array();
  for (int i = 0; i < 500; ++i) input.push_back("x");
  const auto reply = Call(router_, "POST", "/v1/embeddings", Json{{"input", input}}.dump());
  EXPECT_LE(engine_.waiting(), 32u);
  engine_.RunAll();
  ASSERT_TRUE(reply->WaitForEnd());
  const Json answer = Json::parse(reply->body);
  ASSERT_EQ(answer.at("data").size(), 500u);
  for (size_t i = 0; i < 500; ++i) EXPECT_EQ(answer.at("data")[i].at("index"), i);
  EXPECT_EQ(answer.at("usage").at("total_tokens"), 500);
  EXPECT_EQ(reply->tokens, 500u);
}

TEST_F(EmbeddingsTest, Base64IsTheBytesOfTheFloats) {
  // 0.6f, 0 and -0.8f, little-endian.
  EXPECT_EQ(Post(R"({"input":"a","encoding_format":"base64"})").at("data")[0].at("embedding"),
            "mpkZPwAAAADNzEy/");
  const float infinite = std::numeric_limits<float>::infinity();
  const auto text = [](const std::vector<float>& vector) {
    return EmbeddingText(Normalized(vector), false);
  };
  EXPECT_EQ(text({0, 0}), "[0,0]");
  EXPECT_EQ(text({1, infinite}), "[0,0]");
  EXPECT_EQ(text({NAN, 1}), "[0,0]");
}

TEST_F(EmbeddingsTest, DimensionsMustBeTheModels) {
  Post(R"({"input":"a","dimensions":3})");
  EXPECT_EQ(Post(R"({"input":"a","dimensions":2})", 400).at("error").at("param"), "dimensions");
}

TEST_F(EmbeddingsTest, BadInputsAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({})", "input"},
      {R"({"input":""})", "input"},
      {R"({"input":[]})", "input"},
      {R"({"input":7})", "input"},
      {R"({"input":[256]})", "input"},
      {R"({"input":[-1]})", "input"},
      {R"({"input":[1.5]})", "input"},
      {R"({"input":["a",""]})", "input[1]"},
      {R"({"input":["a",[]]})", "input[1]"},
      {R"({"input":["a",[300]]})", "input[1]"},
      {R"({"input":["a",null]})", "input[1]"},
      {R"({"input":"a","encoding_format":"hex"})", "encoding_format"},
      {R"({"input":"a","dimensions":0})", "dimensions"},
      {R"({"input":"a","user":3})", "user"}};
  for (const auto& [body, param] : cases) {
    EXPECT_EQ(Post(body, 400).at("error").at("param"), param) << body;
  }
  EXPECT_TRUE(engine_.jobs.empty());
}

TEST_F(EmbeddingsTest, AFailureEndsTheRestAndAClientThatLeavesCancels) {
  engine_.hold = true;
  const std::string three = R"({"input":["a","b","c"]})";
  const auto failed = Call(router_, "POST", "/v1/embeddings", three);
  engine_.Fail(1, Error(ErrorKind::kBusy, "too late"));
  ASSERT_TRUE(failed->WaitForEnd());
  EXPECT_EQ(failed->status, 429);
  EXPECT_EQ(engine_.waiting(), 0u);
  const auto left = Call(router_, "POST", "/v1/embeddings", three);
  EXPECT_EQ(engine_.waiting(), 3u);
  left->Leave();
  EXPECT_EQ(engine_.waiting(), 0u);
  engine_.before = [](const Job&) { throw Error(ErrorKind::kBusy, "the queue is full"); };
  EXPECT_EQ(Call(router_, "POST", "/v1/embeddings", three)->status, 429);
}

}  // namespace
}  // namespace linnet
