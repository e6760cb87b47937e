// Requests that choose an adapter get what a server with that adapter answers.
#include "server/adapters.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/scratch_folder.h"
#include "server/live_model.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/scripted_model.h"

namespace linnet {
namespace {

using test::AnswerTo;
using test::Call;

class AdaptersThreadTest : public testing::Test {
 protected:
  AdaptersThreadTest() {
    test::WriteLora(folder_ / "poet.safetensors", 1, test::LoraMatrices());
    AddRoutes(router_, live_);
  }
  void AddRoutes(Router& router, const test::LiveModel& live) {
    AddCompletions(router, live.models());
    AddChat(router, live.models());
    AddLoraRoutes(router, live.models(), folder_.path());
  }
  Json Admin(const std::string& method, const std::string& path, const Json& body, int status = 200,
             bool admin = true) {
    auto reply = std::make_shared<test::RecordedReply>();
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.owner = "root";
    request.admin = admin;
    if (!body.is_null()) request.body = body.dump();
    router_.Handle(std::move(request), reply);
    EXPECT_TRUE(reply->WaitForEnd());
    EXPECT_EQ(reply->status, status) << reply->body;
    return Json::parse(reply->body, nullptr, false);
  }
  static Json Body(const std::string& prompt, const std::string& lora = "") {
    Json body = {{"prompt", prompt}, {"temperature", 0}, {"max_tokens", 20}};
    if (!lora.empty()) body["lora"] = lora;
    return body;
  }
  static std::string TextOf(const Json& answer) { return answer["choices"][0]["text"]; }
  std::string Complete(const Router& router, const Json& body) {
    return TextOf(AnswerTo(router, "POST", "/v1/completions", body.dump()));
  }

  test::TemporaryFolder folder_;
  std::shared_ptr<KeptStates> states_ = std::make_shared<KeptStates>(KeptStatesOptions{});
  test::LiveModel live_{states_};
  Router router_;
};

TEST_F(AdaptersThreadTest, WhatCannotBeMixedIsRefusedInOneLine) {
  const auto writer = TensorWriter::Create(
      folder_ / "bone.safetensors", {{"blocks.0.att.key.bone", SourceType::kF32, {32, 4, 4}}});
  writer->AppendFloats(SourceType::kF32, std::vector<float>(size_t{32} * 4 * 4, 0.01f));
  writer->Finish();
  const Json refused = Admin("POST", "/v1/lora", {{"name", "bone"}, {"scale", 1}}, 422);
  const std::string message = refused["error"]["message"];
  EXPECT_NE(
      message.find("bone.safetensors: is a Bone, which rewrites the matrices, so it cannot be "
                   "applied to single texts"),
      std::string::npos)
      << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  AnswerTo(router_, "POST", "/v1/completions", Body("a", "bone").dump(), "", 404);
}

TEST_F(AdaptersThreadTest, AreLoadedListedAndUnloaded) {
  EXPECT_EQ(Admin("GET", "/v1/lora", nullptr)["data"][0]["loaded"], false);
  AnswerTo(router_, "POST", "/v1/completions", Body("a", "poet").dump(), "", 404);
  Admin("POST", "/v1/lora", {{"name", "poet"}, {"scale", 1}}, 403, false);
  Admin("POST", "/v1/lora", {{"name", "poet"}}, 422);  // no alpha
  Admin("POST", "/v1/lora", {{"name", "none"}}, 404);
  Admin("POST", "/v1/lora", {{"name", "x"}, {"file", "../poet"}}, 404);
  const Json loaded = Admin("POST", "/v1/lora", {{"name", "poet"}, {"scale", 1}});
  EXPECT_EQ(loaded["matrices"], 9);
  EXPECT_EQ(Admin("GET", "/v1/lora", nullptr)["data"][0]["loaded"], true);
  Complete(router_, Body("a", "poet"));
  Admin("DELETE", "/v1/lora/poet", nullptr);
  Admin("DELETE", "/v1/lora/poet", nullptr, 404);
  AnswerTo(router_, "POST", "/v1/completions", Body("a", "poet").dump(), "", 404);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "poet.safetensors"));
}

TEST_F(AdaptersThreadTest, AnswersAreThoseOfAServerWithIt) {
  Admin("POST", "/v1/lora", {{"name", "poet"}, {"scale", 2}});
  OpenOptions options;
  options.adapters = {{folder_ / "poet.safetensors", 2.0f}};
  test::LiveModel with(states_, "7", options);
  Router poets;
  AddRoutes(poets, with);
  const std::string plain = Complete(router_, Body("once upon a time"));
  const std::string poet = Complete(poets, Body("once upon a time"));
  EXPECT_NE(plain, poet);
  // At the same time, and from the cache.
  for (int round = 0; round < 2; ++round) {
    const auto a = Call(router_, "POST", "/v1/completions", Body("once upon a time").dump());
    const auto b =
        Call(router_, "POST", "/v1/completions", Body("once upon a time", "poet").dump());
    ASSERT_TRUE(a->WaitForEnd() && b->WaitForEnd());
    EXPECT_EQ(TextOf(Json::parse(a->body)), plain);
    EXPECT_EQ(TextOf(Json::parse(b->body)), poet);
  }
  // Several texts of one prompt too.
  Json two = Body("once upon a time", "poet");
  two["n"] = 2;
  const Json answer = AnswerTo(router_, "POST", "/v1/completions", two.dump());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(answer["choices"][i]["text"], poet);
}

TEST_F(AdaptersThreadTest, StatesAreTiedToIt) {
  Admin("POST", "/v1/lora", {{"name", "poet"}, {"scale", 1}});
  Json first = Body("once upon", "poet");
  first["return_state"] = true;
  const Json answer = AnswerTo(router_, "POST", "/v1/completions", first.dump());
  Json next = Body(" a time");
  next["state"] = {{"data", answer["state"]["data"]}};
  AnswerTo(router_, "POST", "/v1/completions", next.dump(), "", 422);
  next["lora"] = "poet";
  EXPECT_EQ(Complete(router_, next),
            Complete(router_, Body("once upon" + TextOf(answer) + " a time", "poet")));
}

}  // namespace
}  // namespace linnet
