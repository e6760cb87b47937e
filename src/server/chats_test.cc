#include "server/chats.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "http/recorded_reply.h"
#include "server/json_fields.h"

namespace linnet {
namespace {

class ChatStoreTest : public testing::Test {
 protected:
  void Open(const ChatStoreOptions& options) {
    router_ = Router();
    AddChatStoreRoutes(router_, std::make_shared<ChatStore>(options));
  }
  Json Ask(const std::string& method, const std::string& path, const std::string& body = "",
           const std::string& owner = "anna") {
    auto reply = std::make_shared<test::RecordedReply>();
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.owner = owner;
    router_.Handle(std::move(request), reply);
    EXPECT_TRUE(reply->WaitForEnd());
    Json answer = Json::parse(reply->body);
    answer["status"] = reply->status;
    return answer;
  }
  static std::string Body(int64_t revision, const std::string& title, size_t padding = 0) {
    return Json{{"title", title},
                {"revision", revision},
                {"chat", {{"nodes", {{"a", {{"text", title}}}}}, {"x", std::string(padding, 'x')}}}}
        .dump();
  }

  Router router_;
};

TEST_F(ChatStoreTest, WhatWasKeptComesBack) {
  Open({});
  const Json put = Ask("PUT", "/v1/chats/one", Body(0, "ein Fuchs"));
  ASSERT_EQ(put.at("status"), 200) << put;
  const Json got = Ask("GET", "/v1/chats/one");
  EXPECT_EQ(got.at("title"), "ein Fuchs");
  EXPECT_EQ(got.at("revision"), put.at("revision"));
  EXPECT_EQ(got.at("chat").at("nodes").at("a").at("text"), "ein Fuchs");
  const Json list = Ask("GET", "/v1/chats");
  ASSERT_EQ(list.at("data").size(), 1u);
  EXPECT_EQ(list.at("data")[0].at("id"), "one");
  EXPECT_EQ(list.at("data")[0].at("revision"), put.at("revision"));
  EXPECT_EQ(Ask("DELETE", "/v1/chats/one").at("deleted"), true);
  EXPECT_EQ(Ask("GET", "/v1/chats/one").at("status"), 404);
  EXPECT_EQ(Ask("DELETE", "/v1/chats/one").at("status"), 404);
}

TEST_F(ChatStoreTest, SecondWriterOfARevisionIsRefused) {
  Open({});
  const Json first = Ask("PUT", "/v1/chats/one", Body(0, "a"));
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(0, "b")).at("status"), 409);
  const Json second = Ask("PUT", "/v1/chats/one", Body(first.at("revision"), "b"));
  ASSERT_EQ(second.at("status"), 200);
  EXPECT_GT(second.at("revision"), first.at("revision"));
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(first.at("revision"), "c")).at("status"), 409);
  EXPECT_EQ(Ask("GET", "/v1/chats/one").at("title"), "b");
  // A revision of a chat that is not there any more.
  Ask("DELETE", "/v1/chats/one");
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(second.at("revision"), "c")).at("status"), 409);
}

TEST_F(ChatStoreTest, OwnersDoNotSeeEachOther) {
  Open({});
  Ask("PUT", "/v1/chats/one", Body(0, "anna's"), "anna");
  EXPECT_EQ(Ask("GET", "/v1/chats/one", "", "bob").at("status"), 404);
  EXPECT_EQ(Ask("DELETE", "/v1/chats/one", "", "bob").at("status"), 404);
  EXPECT_EQ(Ask("GET", "/v1/chats", "", "bob").at("data").size(), 0u);
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(0, "bob's"), "bob").at("status"), 200);
  EXPECT_EQ(Ask("GET", "/v1/chats/one", "", "anna").at("title"), "anna's");
}

TEST_F(ChatStoreTest, NothingIsDroppedToMakeRoom) {
  ChatStoreOptions options;
  options.owner_bytes = 5000;
  options.owner_chats = 3;
  options.total_bytes = 9000;
  Open(options);
  const Json first = Ask("PUT", "/v1/chats/one", Body(0, "a", 3000));
  ASSERT_EQ(first.at("status"), 200);
  EXPECT_EQ(Ask("PUT", "/v1/chats/two", Body(0, "b", 3000)).at("status"), 413);
  // What it replaces does not count.
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(first.at("revision"), "a", 4000)).at("status"), 200);
  EXPECT_EQ(Ask("GET", "/v1/chats").at("data").size(), 1u);
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(0, "c", 4000), "bob").at("status"), 200);
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(0, "d", 4000), "eve").at("status"), 503);
  for (const char* id : {"three", "four"}) {
    EXPECT_EQ(Ask("PUT", std::string("/v1/chats/") + id, Body(0, "e")).at("status"), 200);
  }
  EXPECT_EQ(Ask("PUT", "/v1/chats/five", Body(0, "e")).at("status"), 413);
}

TEST_F(ChatStoreTest, BadRequestsNameTheField) {
  ChatStoreOptions options;
  options.chat_bytes = 1000;
  Open(options);
  const auto param = [&](const std::string& path, const std::string& body) {
    const Json answer = Ask("PUT", path, body);
    EXPECT_EQ(answer.at("status"), 400) << body;
    return answer.at("error").at("param").dump();
  };
  EXPECT_EQ(param("/v1/chats/one", "{}"), "\"chat\"");
  EXPECT_EQ(param("/v1/chats/one", R"({"chat":[]})"), "\"chat\"");
  EXPECT_EQ(param("/v1/chats/one", R"({"chat":{},"revision":-1})"), "\"revision\"");
  EXPECT_EQ(param("/v1/chats/one", R"({"chat":{},"title":5})"), "\"title\"");
  EXPECT_EQ(param("/v1/chats/o.ne", R"({"chat":{}})"), "\"chat_id\"");
  EXPECT_EQ(param("/v1/chats/" + std::string(65, 'a'), R"({"chat":{}})"), "\"chat_id\"");
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(0, "a", 2000)).at("status"), 413);
  EXPECT_EQ(Ask("GET", "/v1/chats").at("data").size(), 0u);
}

TEST_F(ChatStoreTest, SurvivesARestartInItsFolder) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "linnet_chats_test";
  std::filesystem::remove_all(folder);
  ChatStoreOptions options;
  options.folder = folder;
  Open(options);
  const Json put = Ask("PUT", "/v1/chats/one", Body(0, "kept"));
  Open(options);
  EXPECT_EQ(Ask("GET", "/v1/chats/one").at("title"), "kept");
  EXPECT_EQ(Ask("PUT", "/v1/chats/one", Body(put.at("revision"), "again")).at("status"), 200);
  router_ = Router();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace linnet
