#include "server/system_one.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/test_server.h"

namespace linnet {
namespace {

class SystemOneTest : public testing::Test {
 protected:
  SystemOneTest() : model_(test::ScriptedModel(scheduler_, "world")) {
    AddSystemOneRoutes(router_, std::make_shared<const ServedModels>(
                                    std::vector<std::shared_ptr<const ServedModel>>{model_}));
  }
  Json Post(const std::string& body, int status = 200) {
    const auto reply = test::Ask(router_, "POST", "/v1/systemone", body);
    EXPECT_EQ(reply->status, status) << reply->body;
    return Json::parse(reply->body);
  }
  std::string TextOf(const std::vector<int32_t>& tokens) const {
    return model_->tokenizer->Decode(tokens);
  }

  test::ScriptedScheduler scheduler_;
  std::shared_ptr<ServedModel> model_;
  Router router_;
};

constexpr const char* kThree = R"({"state":{"ticket":"The page is blank."},"questions":{
  "bug":{"type":"noul","instructions":"Is this a bug?"},
  "team":{"type":"choice","instructions":"Who?","criteria":{"billing":"money","web":null}},
  "urgency":{"type":"score","instructions":"How urgent?","criteria":["can wait","soon","now"]}}})";

TEST_F(SystemOneTest, AnswersThreeTypesOfQuestions) {
  // Sums of log-probabilities: yes 0.6, no 0.2; billing 0.1, web 0.3; levels 0.1, 0.1, 0.2.
  const std::map<std::string, double> shares = {{" yes", 0.6}, {" no", 0.2}, {" billing", 0.1},
                                                {" web", 0.3}, {" 0", 0.1},  {" 1", 0.1},
                                                {" 2", 0.2}};
  scheduler_.logprob = [&](const Job& job, size_t i, size_t) {
    const auto& tokens = job.continuations[i];
    return static_cast<float>(std::log(shares.at(TextOf(tokens))) /
                              static_cast<double>(tokens.size()));
  };
  const Json answer = Post(kThree);
  EXPECT_EQ(answer["model"], "tiny");
  EXPECT_EQ(answer["calibrated"], false);
  EXPECT_EQ(answer["usage"]["output_tokens"], 0);
  EXPECT_GT(answer["usage"]["input_tokens"], 100);
  const Json& answers = answer["answers"];
  EXPECT_EQ(answers["bug"]["type"], "noul");
  EXPECT_NEAR(answers["bug"]["noul"].get<double>(), 0.75, 1e-6);
  EXPECT_EQ(answers["bug"].size(), 2u);
  EXPECT_EQ(answers["team"]["choice"], "web");
  EXPECT_NEAR(answers["team"]["probabilities"]["web"].get<double>(), 0.75, 1e-6);
  EXPECT_NEAR(answers["team"]["probabilities"]["billing"].get<double>(), 0.25, 1e-6);
  EXPECT_NEAR(answers["team"]["confidence"].get<double>(), 0.5, 1e-6);
  EXPECT_NEAR(answers["urgency"]["score"].get<double>(), 1.25, 1e-6);
  EXPECT_EQ(answers["urgency"]["legend"], Json::parse(R"({"0":"can wait","1":"soon","2":"now"})"));
  EXPECT_NEAR(answers["urgency"]["probabilities"]["2"].get<double>(), 0.5, 1e-6);
  EXPECT_NEAR(answers["urgency"]["confidence"].get<double>(), 0.25, 1e-6);
}

// What the prompts have in common is read first, and a state is kept after it.
TEST_F(SystemOneTest, QuestionsForkFromTheState) {
  Post(kThree);
  ASSERT_EQ(scheduler_.jobs.size(), 4u);
  const Job& shared = scheduler_.jobs[0];
  EXPECT_EQ(TextOf(shared.prompt), "User: {\n \"ticket\": \"The page is blank.\"\n}\n");
  EXPECT_EQ(shared.marks, (std::vector<size_t>{shared.prompt.size()}));
  EXPECT_EQ(shared.text.max_tokens, 0u);
  EXPECT_EQ(TextOf(scheduler_.jobs[2].prompt),
            TextOf(shared.prompt) +
                "Who?\n- billing: money\n- web\nAnswer with one of these options.\n\nAssistant:");
  EXPECT_EQ(scheduler_.jobs[2].continuations.size(), 2u);
  EXPECT_EQ(TextOf(scheduler_.jobs[3].prompt),
            TextOf(shared.prompt) +
                "How urgent?\n- 0: can wait\n- 1: soon\n- 2: now\nAnswer with "
                "the number of one of these levels.\n\nAssistant:");
}

TEST_F(SystemOneTest, MeaningsOfYesAndNoAreShown) {
  Post(R"({"state":"It rains.","questions":{"q":{"type":"noul","instructions":"Wet?",
    "criteria":{"true":"water falls","false":"dry"}}}})");
  EXPECT_EQ(TextOf(scheduler_.jobs.back().prompt),
            "User: It rains.\nWet?\n- yes: water falls\n- no: dry\nAnswer yes or "
            "no.\n\nAssistant:");
}

TEST_F(SystemOneTest, BadQuestionsAreNamed) {
  const auto with = [](const std::string& question) {
    return R"({"state":"a","questions":{"q":)" + question + "}}";
  };
  const std::string many = Json(std::vector<std::string>(11, "x")).dump();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"questions":{"q":{"type":"noul"}}})", "state"},
      {R"({"state":7,"questions":{"q":{"type":"noul"}}})", "state"},
      {R"({"state":"a"})", "questions"},
      {R"({"state":"a","questions":{}})", "questions"},
      {with("3"), "questions.q"},
      {with("{}"), "questions.q.type"},
      {with(R"({"type":"boolean"})"), "questions.q.type"},
      {with(R"({"type":"choice"})"), "questions.q.criteria"},
      {with(R"({"type":"choice","criteria":["a"]})"), "questions.q.criteria"},
      {with(R"({"type":"choice","criteria":{"":null}})"), "questions.q.criteria"},
      {with(R"({"type":"score","criteria":[]})"), "questions.q.criteria"},
      {with(R"({"type":"score","criteria":)" + many + "}"), "questions.q.criteria"},
      {with(R"({"type":"noul","criteria":{"true":1}})"), "questions.q.criteria.true"}};
  for (const auto& [body, param] : cases) {
    EXPECT_EQ(Post(body, 400)["error"]["param"], param) << body;
  }
  Json large = Json::parse(kThree);
  large["state"] = std::string(6 << 20, 'x');  // in each of three prompts
  EXPECT_EQ(Post(large.dump(), 413)["error"]["param"], "state");
  EXPECT_TRUE(scheduler_.jobs.empty());
}

}  // namespace
}  // namespace linnet
