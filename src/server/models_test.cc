#include "server/models.h"

#include <gtest/gtest.h>

#include <vector>

#include "server/scripted_model.h"

namespace linnet {
namespace {

using test::AnswerTo;
using test::Call;

class ModelsTest : public testing::Test {
 protected:
  ModelsTest() {
    auto first = test::ScriptedModel(engine_), second = test::ScriptedModel(engine_);
    second->name = "team/large";
    second->other_names = {"gpt"};
    AddModelRoutes(router_, std::make_shared<ServedModels>(
                                std::vector<std::shared_ptr<const ServedModel>>{first, second}));
    AddHealthRoutes(router_, [this] { return ready_; });
  }
  test::ScriptedEngine engine_;
  Router router_;
  bool ready_ = true;
};

TEST_F(ModelsTest, AreListedForOpenAiAnthropicAndCodex) {
  const Json list = AnswerTo(router_, "GET", "/v1/models");
  EXPECT_EQ(list.at("object"), "list");
  ASSERT_EQ(list.at("data").size(), 2u);
  EXPECT_EQ(list.at("data")[0].at("id"), "tiny");
  EXPECT_EQ(list.at("data")[0].at("object"), "model");
  EXPECT_EQ(list.at("data")[0].at("created"), 1700000000);
  EXPECT_EQ(list.at("data")[0].at("owned_by"), "linnet");
  // The fields of Anthropic's list.
  EXPECT_EQ(list.at("data")[0].at("type"), "model");
  EXPECT_EQ(list.at("data")[0].at("display_name"), "tiny");
  EXPECT_EQ(list.at("data")[0].at("created_at"), "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(list.at("first_id"), "tiny");
  EXPECT_EQ(list.at("last_id"), "team/large");
  EXPECT_EQ(list.at("has_more"), false);
  ASSERT_EQ(list.at("models").size(), 2u);
  // The fields without a default in codex-rs/protocol/src/openai_models.rs, with their types.
  const Json& codex = list.at("models")[0];
  for (const char* text :
       {"slug", "display_name", "shell_type", "visibility", "base_instructions"}) {
    EXPECT_TRUE(codex.at(text).is_string()) << text;
  }
  for (const char* flag : {"supported_in_api", "supports_reasoning_summaries", "support_verbosity",
                           "supports_parallel_tool_calls"}) {
    EXPECT_TRUE(codex.at(flag).is_boolean()) << flag;
  }
  for (const char* empty : {"description", "availability_nux", "upgrade", "default_verbosity",
                            "apply_patch_tool_type"}) {
    EXPECT_TRUE(codex.at(empty).is_null()) << empty;
  }
  for (const char* texts : {"supported_reasoning_levels", "experimental_supported_tools"}) {
    EXPECT_TRUE(codex.at(texts).is_array()) << texts;
  }
  EXPECT_TRUE(codex.at("priority").is_number_integer());
  EXPECT_EQ(codex.at("truncation_policy").at("mode"), "bytes");
}

TEST_F(ModelsTest, OneIsFoundByItsNames) {
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/models/tiny").at("id"), "tiny");
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/models/team/large").at("id"), "team/large");
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/models/gpt").at("id"), "team/large");
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/models/tiny:latest").at("id"), "tiny");
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/models/gpt:latest").at("id"), "team/large");
  const Json error = AnswerTo(router_, "GET", "/v1/models/other", "", "", 404);
  EXPECT_EQ(error.at("error").at("code"), "model_not_found");
}

TEST_F(ModelsTest, HealthIsNotReadiness) {
  EXPECT_EQ(AnswerTo(router_, "GET", "/health"), (Json{{"status", "ok"}}));
  EXPECT_EQ(AnswerTo(router_, "GET", "/ready"), (Json{{"status", "ready"}}));
  ready_ = false;
  EXPECT_EQ(AnswerTo(router_, "GET", "/health"), (Json{{"status", "ok"}}));
  const auto reply = Call(router_, "GET", "/ready");
  EXPECT_EQ(reply->status, 503);
  EXPECT_EQ(reply->headers.at(0).first, "retry-after");
}

}  // namespace
}  // namespace linnet
