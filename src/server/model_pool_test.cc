// Models come when they are asked for and go when they are not, within the budget.
#include "server/model_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

#include "server/admin.h"
#include "server/models.h"
#include "server/openai_completions.h"
#include "server/scripted_model.h"

namespace linnet {
namespace {

using test::AnswerTo;
using test::Call;

class ModelPoolThreadTest : public testing::Test {
 protected:
  ModelSource Source(const std::string& name, uint64_t bytes, bool kept = false) {
    return {.name = name, .created = 7, .bytes = bytes, .kept = kept, .open = [this, name, bytes] {
              ++opened[name];
              if (name == "broken") throw Error(ErrorKind::kBadModel, "broken.pth: is no model");
              auto served = test::ScriptedModel(engine);
              served->name = name;
              return LoadedModel{std::move(served), bytes, {}, {}};
            }};
  }
  void Start(std::vector<ModelSource> given, uint64_t memory) {
    pool = std::make_shared<ModelPool>(ModelPoolOptions{.sources = std::move(given),
                                                        .scan = [this] { return folder; },
                                                        .memory_bytes = memory,
                                                        .patience = std::chrono::milliseconds(40)});
    AddCompletions(router, pool);
    AddModelRoutes(router, pool);
    AddAdminRoutes(router, pool);
  }
  Json Complete(const std::string& model, int status = 200) {
    Json body = {{"prompt", "a"}};
    if (!model.empty()) body["model"] = model;
    return AnswerTo(router, "POST", "/v1/completions", body.dump(), "", status);
  }
  // Of the models in memory.
  std::string InMemory() {
    std::string names;
    for (const ModelEntry& entry : pool->entries()) {
      if (entry.served != nullptr) names += entry.name + " ";
    }
    return names;
  }
  std::shared_ptr<test::RecordedReply> AskAdmin(const std::string& what, const Json& body,
                                                bool admin) {
    auto reply = std::make_shared<test::RecordedReply>();
    HttpRequest request;
    request.method = body.is_null() ? "GET" : "POST";
    request.path = "/v1/admin/models" + what;
    if (!body.is_null()) request.body = body.dump();
    request.admin = admin;
    request.owner = "key";
    router.Handle(std::move(request), reply);
    EXPECT_TRUE(reply->WaitForEnd());
    return reply;
  }
  Json Admin(const std::string& what, const Json& body, int status = 200, bool admin = true) {
    const auto reply = AskAdmin(what, body, admin);
    EXPECT_EQ(reply->status, status) << reply->body;
    return Json::parse(reply->body, nullptr, false);
  }
  // A request that was answered may hold its model for a moment longer.
  Json Unload(const std::string& model) {
    auto reply = AskAdmin("/unload", {{"model", model}}, true);
    while (reply->status == 409) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      reply = AskAdmin("/unload", {{"model", model}}, true);
    }
    EXPECT_EQ(reply->status, 200) << reply->body;
    return Json::parse(reply->body, nullptr, false);
  }

  std::map<std::string, int> opened;
  std::vector<ModelSource> folder;
  test::ScriptedEngine engine;
  std::shared_ptr<ModelPool> pool;
  Router router;
};

TEST_F(ModelPoolThreadTest, LoadsWhatIsAskedForAndForgetsWhatWasUsedLeastRecently) {
  folder = {Source("a", 4), Source("b", 4), Source("c", 4)};
  Start({Source("main", 2, true)}, 10);
  EXPECT_EQ(InMemory(), "main ");
  EXPECT_EQ(Complete("")["model"], "main");
  EXPECT_EQ(Complete("a")["model"], "a");
  EXPECT_EQ(Complete("b")["model"], "b");
  EXPECT_EQ(InMemory(), "main a b ");
  Complete("a");
  Complete("c");
  EXPECT_EQ(InMemory(), "main a c ");
  Complete("b");
  EXPECT_EQ(InMemory(), "main b c ");
  EXPECT_EQ(opened["main"], 1);
  EXPECT_EQ(opened["b"], 2);
  EXPECT_EQ(Complete("none", 404)["error"]["code"], "model_not_found");
  const Json list = AnswerTo(router, "GET", "/v1/models");
  EXPECT_EQ(list["data"].size(), 4u);
  EXPECT_EQ(list["data"][1]["id"], "a");
  EXPECT_EQ(list["data"][1]["meta"]["loaded"], false);
}

TEST_F(ModelPoolThreadTest, WhatIsInUseStays) {
  folder = {Source("a", 6), Source("b", 6)};
  Start({Source("main", 2, true)}, 10);
  const auto used = [&] {
    Complete("a");
    return pool->Find("a");
  }();
  EXPECT_EQ(Complete("b", 503)["error"]["type"], "service_unavailable_error");
  EXPECT_EQ(InMemory(), "main a ");
  EXPECT_EQ(Admin("/unload", {{"model", "a"}}, 409)["error"]["code"], "model_in_use");
}

TEST_F(ModelPoolThreadTest, TooLargeAndBrokenOnesAreRefused) {
  folder = {Source("large", 9), Source("broken", 1)};
  Start({Source("main", 2, true)}, 10);
  EXPECT_EQ(Complete("large", 422)["error"]["code"], "model_too_large");
  Complete("broken", 500);
  Complete("broken", 500);
  EXPECT_EQ(opened["broken"], 2);
  EXPECT_EQ(InMemory(), "main ");
}

TEST_F(ModelPoolThreadTest, RequestsThatComeTogetherWaitForOneLoading) {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  ModelSource slow = Source("slow", 1);
  slow.open = [&, inner = slow.open] {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return open; });
    return inner();
  };
  folder = {slow};
  Start({Source("main", 1, true)}, 0);
  std::vector<std::shared_ptr<test::RecordedReply>> replies;
  for (int i = 0; i < 5; ++i) {
    replies.push_back(Call(router, "POST", "/v1/completions", R"({"prompt":"a","model":"slow"})"));
  }
  replies[2]->Leave();
  Complete("main");  // nobody else waits
  {
    const std::lock_guard lock(mutex);
    open = true;
  }
  changed.notify_all();
  for (size_t i = 0; i < replies.size(); ++i) {
    ASSERT_TRUE(replies[i]->WaitForEnd());
    EXPECT_EQ(replies[i]->status, i == 2 ? 0 : 200);
  }
  EXPECT_EQ(opened["slow"], 1);
}

TEST_F(ModelPoolThreadTest, AnAdministratorLoadsUnloadsAndSwitches) {
  folder = {Source("a", 4), Source("b", 4)};
  Start({Source("main", 2, true)}, 10);
  Admin("/load", {{"model", "a"}}, 403, false);
  Admin("", nullptr, 403, false);
  EXPECT_EQ(Admin("/load", {{"model", "a"}})["loaded"], true);
  EXPECT_EQ(opened["a"], 1);
  EXPECT_EQ(Admin("/switch", {{"model", "b"}})["default"], true);
  EXPECT_EQ(Complete("")["model"], "b");
  EXPECT_EQ(InMemory(), "b a ");  // what was the default is unloaded
  EXPECT_EQ(Unload("a")["loaded"], false);
  EXPECT_EQ(Complete("a")["model"], "a");
  EXPECT_EQ(opened["a"], 2);
  Admin("/load", {{"model", "../a"}}, 404);
  Admin("/load", {{"model", "/etc/passwd"}}, 404);
  Admin("/load", Json::object(), 400);
  const Json list = Admin("", nullptr);
  EXPECT_EQ(list["data"][0]["id"], "b");
  EXPECT_EQ(list["data"][0]["bytes"], 4);
  // What is gone from the folder cannot be asked for any more.
  folder.clear();
  Unload("a");
  Complete("a", 404);
}

TEST(FixedModelsTest, DoNotChange) {
  test::ScriptedEngine engine;
  const auto models = std::make_shared<const ServedModels>(
      std::vector<std::shared_ptr<const ServedModel>>{test::ScriptedModel(engine)});
  EXPECT_THROW(models->Unload("tiny"), RequestError);
  EXPECT_THROW(models->SetDefault("tiny"), RequestError);
}

TEST(IsAdminTest, AsksForAnAdminsKeyOrThisMachineWithoutKeys) {
  const auto is = [](const char* peer, const char* owner, bool admin, HttpHeaders headers = {}) {
    HttpRequest request;
    request.peer = peer;
    request.owner = owner;
    request.admin = admin;
    request.headers = std::move(headers);
    return IsAdmin(request);
  };
  EXPECT_TRUE(is("10.1.2.3:5", "root", true));
  EXPECT_TRUE(is("127.0.0.1:5", "", false));
  EXPECT_TRUE(is("[::1]:5", "", false));
  EXPECT_TRUE(is("unix", "", false));
  EXPECT_FALSE(is("127.0.0.1:5", "anna", false));
  EXPECT_FALSE(is("10.1.2.3:5", "", false));
  EXPECT_FALSE(is("127.0.0.1:5", "", false, {{"x-forwarded-for", "10.1.2.3"}}));
}

}  // namespace
}  // namespace linnet
