// A broken connection loses nothing: what is sent before and after is the whole answer.
#include "server/resumable_streams.h"

#include <gtest/gtest.h>

#include <atomic>

#include "server/scripted_model.h"

namespace linnet {
namespace {

using test::AnswerTo;
using test::RecordedReply;

class ResumableStreamsThreadTest : public testing::Test {
 protected:
  ResumableStreamsThreadTest() {
    ResumableOptions options;
    options.unattended = std::chrono::seconds(60);
    options.kept = std::chrono::seconds(600);
    options.stream_bytes = 1000;
    options.owner_streams = 2;
    options.clock = [this] { return now_.load(); };
    streams_ = std::make_shared<ResumableStreams>(options);
    router_.WrapReplies(
        [streams = streams_](const HttpRequest& request, std::shared_ptr<HttpReply> reply) {
          return streams->Wrap(request, std::move(reply));
        });
    // A handler that the test speaks through.
    router_.Add("POST", "/say", [this](const RouteCall& call) { said_ = call.reply; });
    AddStreamRoutes(router_, streams_);
  }

  std::shared_ptr<RecordedReply> Ask(const std::string& method, const std::string& target,
                                     HttpHeaders headers, const std::string& owner = "") {
    auto reply = std::make_shared<RecordedReply>();
    HttpRequest request;
    request.method = method;
    const size_t query = std::min(target.find('?'), target.size());
    request.path = target.substr(0, query);
    if (query < target.size()) request.query = target.substr(query + 1);
    request.headers = std::move(headers);
    request.owner = owner;
    router_.Handle(std::move(request), reply);
    return reply;
  }
  std::shared_ptr<RecordedReply> Say(const std::string& id, const std::string& owner = "") {
    return Ask("POST", "/say", {{"x-stream-id", id}}, owner);
  }
  std::shared_ptr<RecordedReply> Resume(const std::string& id, const std::string& last = "",
                                        const std::string& owner = "") {
    HttpHeaders headers;
    if (!last.empty()) headers.emplace_back("last-event-id", last);
    return Ask("GET", "/v1/streams/" + id, headers, owner);
  }
  void Event(const std::string& text) { said_->Write("data: " + text + "\n\n"); }
  static std::string Numbered(int from, int to) {
    std::string all;
    for (int i = from; i <= to; ++i) {
      all += "id: " + std::to_string(i) + "\ndata: " + std::to_string(i) + "\n\n";
    }
    return all;
  }
  void Begin() { said_->BeginStream(200, "text/event-stream"); }
  void Events(int from, int to) {
    for (int i = from; i <= to; ++i) Event(std::to_string(i));
  }

  std::atomic<std::chrono::steady_clock::time_point> now_{
      std::chrono::steady_clock::time_point(std::chrono::hours(1))};
  std::shared_ptr<ResumableStreams> streams_;
  Router router_;
  std::shared_ptr<HttpReply> said_;
};

TEST_F(ResumableStreamsThreadTest, GoesOnWhereItBroke) {
  bool cancelled = false;
  const auto first = Say("talk");
  said_->OnGone([&] { cancelled = true; });
  Begin();
  Events(0, 2);
  EXPECT_EQ(first->body, Numbered(0, 2));
  first->Leave();
  Events(3, 5);
  const auto second = Resume("talk", "1");
  EXPECT_EQ(second->content_type, "text/event-stream");
  EXPECT_EQ(second->body, Numbered(2, 5));
  Events(6, 7);
  EXPECT_FALSE(second->ended);
  second->Leave();
  Events(8, 8);
  said_->End();
  EXPECT_EQ(Resume("talk", "7")->body, Numbered(8, 8));
  EXPECT_EQ(Resume("talk")->body, Numbered(0, 8));
  EXPECT_TRUE(Resume("talk", "8")->ended);
  EXPECT_FALSE(cancelled);
  EXPECT_FALSE(said_->gone());
}

TEST_F(ResumableStreamsThreadTest, OneClientListensAtATime) {
  const auto first = Say("talk");
  Begin();
  Events(0, 0);
  const auto second = Resume("talk", "0");
  EXPECT_TRUE(first->ended);
  Events(1, 1);
  EXPECT_EQ(first->body, Numbered(0, 0));
  EXPECT_EQ(second->body, Numbered(1, 1));
  EXPECT_EQ(Say("talk")->status, 409);
  EXPECT_EQ(Resume("talk", "7")->status, 400);
  EXPECT_EQ(Resume("talk", "x")->status, 400);
  EXPECT_EQ(Resume("none")->status, 404);
  EXPECT_EQ(Resume("talk", "", "other")->status, 404);
  EXPECT_EQ(Say("a b")->status, 400);
}

TEST_F(ResumableStreamsThreadTest, NobodyComesBackForEver) {
  bool cancelled = false;
  const auto first = Say("talk");
  said_->OnGone([&] { cancelled = true; });
  Begin();
  first->Leave();
  now_ = now_.load() + std::chrono::seconds(59);
  streams_->Expire();
  EXPECT_FALSE(cancelled);
  now_ = now_.load() + std::chrono::seconds(2);
  streams_->Expire();
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(said_->gone());
  EXPECT_EQ(Resume("talk")->status, 404);
  // What has ended is kept for longer.
  Say("whole");
  Begin();
  said_->End();
  now_ = now_.load() + std::chrono::seconds(599);
  EXPECT_EQ(Resume("whole")->status, 200);
  now_ = now_.load() + std::chrono::seconds(2);
  EXPECT_EQ(Resume("whole")->status, 404);
}

TEST_F(ResumableStreamsThreadTest, AnswersThatAreNoStreamsAreKeptToo) {
  Say("one")->Leave();
  const auto waiting = Resume("one");
  EXPECT_EQ(waiting->status, 0);
  said_->Send(200, "{}");
  EXPECT_EQ(waiting->body, "{}");
  EXPECT_EQ(Resume("one")->body, "{}");
}

TEST_F(ResumableStreamsThreadTest, MemoryIsBounded) {
  Say("talk");
  Begin();
  Events(0, 99);
  EXPECT_EQ(Resume("talk", "5")->status, 410);
  EXPECT_EQ(Resume("talk", "98")->body, Numbered(99, 99));
  Say("second");
  EXPECT_EQ(Say("third")->status, 429);
  EXPECT_EQ(Say("third", "other")->status, 0);
  EXPECT_EQ(Ask("DELETE", "/v1/streams/second", {})->status, 200);
  EXPECT_EQ(Say("third")->status, 0);
  said_->Send(200, "{}");
  EXPECT_EQ(Say("fourth")->status, 0);  // in place of what has ended
  EXPECT_EQ(Resume("third")->status, 404);
}

TEST_F(ResumableStreamsThreadTest, WithoutTheHeaderAllIsAsBefore) {
  bool cancelled = false;
  const auto reply = Ask("POST", "/say", {});
  said_->OnGone([&] { cancelled = true; });
  Begin();
  Event("a");
  EXPECT_EQ(reply->body, "data: a\n\n");
  reply->Leave();
  EXPECT_TRUE(cancelled);
}

}  // namespace
}  // namespace linnet
