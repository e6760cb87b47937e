// Streams of a running server: events, clients that leave or lag, and how it stops.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/sanitized.h"
#include "http/http.h"
#include "http/raw_client.h"

namespace linnet {
namespace {

using std::chrono::milliseconds;
using test::EchoRequest;
using test::KeptReplies;
using test::kGet;
using test::RawClient;
using test::RawReply;
using test::RunningServer;

bool Becomes(const std::atomic<int>& value, int wanted) {
  for (int i = 0; i < test::kPatienceMilliseconds && value.load() != wanted; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  return value.load() == wanted;
}

TEST(ThreadedStreamsTest, ChunksArriveWhenTheyAreWritten) {
  KeptReplies kept;
  RunningServer server(kept.Handler());
  RawClient client(server.port());
  ASSERT_TRUE(client.Write(kGet));
  const auto reply = kept.WaitForOne();
  reply->BeginStream(200, "text/event-stream", {{"X-More", "yes"}});
  const RawReply head = client.ReadHead();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Header("content-type"), "text/event-stream");
  EXPECT_EQ(head.Header("x-more"), "yes");
  EXPECT_EQ(server.server().statistics().streams, 1u);
  for (int i = 0; i < 10; ++i) {
    const std::string event = "data: " + std::to_string(i) + "\n\n";
    reply->Write(event);
    ASSERT_EQ(client.ReadChunk(), event);
  }
  reply->Write("");  // no end
  reply->End();
  EXPECT_EQ(client.ReadChunk(), "");
  EXPECT_TRUE(server.WaitFor(
      [](const HttpStatistics& all) { return all.streams == 0 && all.requests_running == 0; }));
  ASSERT_TRUE(client.Write(kGet));  // the connection goes on
  kept.Wait(2)[1]->Send(200, "next");
  EXPECT_EQ(client.Read().body, "next");
}

TEST(ThreadedStreamsTest, QuietEventStreamsArePinged) {
  HttpOptions options;
  options.limits.ping_time = milliseconds(20);
  KeptReplies kept;
  RunningServer server(kept.Handler(), options);
  RawClient client(server.port());
  ASSERT_TRUE(client.Write(kGet));
  const auto reply = kept.WaitForOne();
  reply->BeginStream(200, "text/event-stream");
  client.ReadHead();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(client.ReadChunk(), ": ping\n\n");
  reply->Write("data: a\n\n");
  std::string chunk = ": ping\n\n";
  while (chunk == ": ping\n\n") chunk = client.ReadChunk().value_or("");
  EXPECT_EQ(chunk, "data: a\n\n");
}

TEST(ThreadedStreamsTest, OtherStreamsAreNotPinged) {
  HttpOptions options;
  options.limits.ping_time = milliseconds(1);
  KeptReplies kept;
  RunningServer server(kept.Handler(), options);
  RawClient client(server.port());
  ASSERT_TRUE(client.Write(kGet));
  const auto reply = kept.WaitForOne();
  reply->BeginStream(200, "application/x-ndjson");
  client.ReadHead();
  std::this_thread::sleep_for(milliseconds(20));
  reply->Write("{}\n");
  EXPECT_EQ(client.ReadChunk(), "{}\n");
}

// Before the head, while it waits; and in the middle of a stream; orderly or not.
TEST(ThreadedStreamsTest, OnGoneIsCalledOnceWhenTheClientLeaves) {
  for (const bool begun : {false, true}) {
    for (const bool abort : {false, true}) {
      KeptReplies kept;
      RunningServer server(kept.Handler());
      std::atomic<int> calls{0};
      RawClient client(server.port());
      ASSERT_TRUE(client.Write(kGet));
      const auto reply = kept.WaitForOne();
      reply->OnGone([] { FAIL() << "was replaced"; });
      reply->OnGone([&] { ++calls; });
      if (begun) {
        reply->BeginStream(200, "text/event-stream");
        client.ReadHead();
      }
      EXPECT_FALSE(reply->gone());
      if (abort) {
        client.Abort();
      } else {
        client.Close();
      }
      EXPECT_TRUE(Becomes(calls, 1));
      EXPECT_TRUE(reply->gone());
      reply->Write("data: a\n\n");  // nothing happens
      reply->End();
      reply->OnGone([&] { ++calls; });  // at once
      EXPECT_EQ(calls.load(), 2);
      EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) {
        return all.connections == 0 && all.requests_running == 0 && all.streams == 0 &&
               all.gone == 1;
      }));
    }
  }
}

TEST(ThreadedStreamsTest, OnGoneIsNotCalledAfterTheEnd) {
  KeptReplies kept;
  RunningServer server(kept.Handler());
  auto held = std::make_shared<int>(1);
  {
    RawClient client(server.port());
    ASSERT_TRUE(client.Write(kGet));
    const auto reply = kept.WaitForOne();
    reply->OnGone([held] { FAIL() << "called"; });
    EXPECT_EQ(held.use_count(), 2);
    reply->Send(200, "a");
    EXPECT_EQ(held.use_count(), 1);  // what it held is free
    EXPECT_EQ(client.Read().body, "a");
  }
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) { return all.connections == 0; }));
  EXPECT_EQ(server.server().statistics().gone, 0u);
}

TEST(ThreadedStreamsTest, ReaderThatFallsBehindIsCutOff) {
  HttpOptions options;
  options.limits.unsent_bytes = 100'000;
  KeptReplies kept;
  RunningServer server(kept.Handler(), options);
  std::atomic<int> calls{0};
  RawClient client(server.port(), 4096);
  ASSERT_TRUE(client.Write(kGet));
  const auto reply = kept.WaitForOne();
  reply->OnGone([&] { ++calls; });
  reply->BeginStream(200, "text/event-stream");
  // The kernel takes some megabytes first.
  for (int i = 0; i < 100'000 && !reply->gone(); ++i) reply->Write(std::string(10'000, 'a'));
  EXPECT_TRUE(Becomes(calls, 1));
  EXPECT_TRUE(reply->gone());
  EXPECT_EQ(server.server().statistics().cut_off, 1u);
}

TEST(ThreadedStreamsTest, OneLargeChunkIsNoLag) {
  HttpOptions options;
  options.limits.unsent_bytes = 1000;
  KeptReplies kept;
  RunningServer server(kept.Handler(), options);
  RawClient client(server.port());
  ASSERT_TRUE(client.Write(kGet));
  const auto reply = kept.WaitForOne();
  reply->BeginStream(200, "text/event-stream");
  reply->Write(std::string(1 << 20, 'a'));
  reply->End();
  const RawReply whole = client.Read();
  EXPECT_TRUE(whole.complete);
  EXPECT_EQ(whole.body.size(), size_t{1} << 20);
}

// What the engine does: writers of their own, while clients leave whenever they like.
TEST(ThreadedStreamsTest, ThreadsWriteWhileClientsLeave) {
  std::vector<std::thread> writers;
  KeptReplies kept;
  RunningServer server(kept.Handler());
  constexpr int kClients = 60;
  std::atomic<int> ended{0};
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    ASSERT_TRUE(clients.back()->Write(kGet));
  }
  const auto replies = kept.Wait(kClients);
  kept.Drop();
  writers.reserve(4);
  for (size_t w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      for (size_t r = w; r < replies.size(); r += 4) {
        replies[r]->OnGone([&] { ++ended; });
        replies[r]->BeginStream(200, "text/event-stream");
      }
      for (int i = 0; i < 200; ++i) {
        for (size_t r = w; r < replies.size(); r += 4) replies[r]->Write("data: a\n\n");
      }
      for (size_t r = w; r < replies.size(); r += 4) {
        if (!replies[r]->gone()) {
          replies[r]->End();
          ++ended;
        }
      }
    });
  }
  for (size_t i = 0; i < clients.size(); ++i) {
    if (i % 3 == 0) clients[i]->Abort();
    if (i % 3 == 1) clients[i]->Close();
  }
  for (size_t i = 2; i < clients.size(); i += 3) EXPECT_TRUE(clients[i]->Read().complete);
  for (std::thread& writer : writers) writer.join();
  EXPECT_GE(ended.load(), kClients);  // a client may leave just when its end is written
  clients.clear();
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) {
    return all.connections == 0 && all.requests_running == 0 && all.streams == 0;
  }));
}

TEST(ThreadedStreamsTest, ThousandStreamsAreOpenAtOnce) {
  KeptReplies kept;
  HttpOptions options;
  options.log = [](std::string_view) {};
  RunningServer server(kept.Handler(), options);
  const size_t before = mallinfo2().uordblks;
  constexpr size_t kStreams = 1000;
  std::vector<std::unique_ptr<RawClient>> clients;
  clients.reserve(kStreams);
  for (size_t i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    ASSERT_TRUE(clients.back()->Write(kGet));
  }
  const auto replies = kept.Wait(kStreams);
  for (const auto& reply : replies) reply->BeginStream(200, "text/event-stream");
  for (int i = 0; i < 20; ++i) {
    for (const auto& reply : replies) reply->Write("data: {\"token\":\"a\"}\n\n");
  }
  for (const auto& client : clients) {
    ASSERT_EQ(client->ReadHead().status, 200);
    std::string text;
    while (text.size() < 20 * std::string("data: {\"token\":\"a\"}\n\n").size()) {
      const auto chunk = client->ReadChunk();
      ASSERT_TRUE(chunk.has_value());
      text += *chunk;
    }
  }
  EXPECT_EQ(server.server().statistics().streams, kStreams);
  if (!kSanitized) {
    // Of the server and the clients together.
    EXPECT_LT((mallinfo2().uordblks - before) / kStreams, 64u << 10);
    RecordProperty("bytes_a_stream", std::to_string((mallinfo2().uordblks - before) / kStreams));
  }
  for (const auto& reply : replies) reply->End();
  for (const auto& client : clients) ASSERT_EQ(client->ReadChunk(), "");
}

// Neither the server nor its open connections wake up while nothing happens.
TEST(ThreadedStreamsTest, IdleServerSleeps) {
  KeptReplies kept;
  RunningServer server(kept.Handler());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    if (i % 2 == 0) {
      ASSERT_TRUE(clients.back()->Write(kGet));
    }
  }
  for (const auto& reply : kept.Wait(25)) reply->BeginStream(200, "text/event-stream");
  for (size_t i = 0; i < clients.size(); i += 2) clients[i]->ReadHead();
  std::this_thread::sleep_for(milliseconds(50));
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  std::this_thread::sleep_for(milliseconds(300));
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_nvcsw - before.ru_nvcsw, 10);  // this thread, and a sanitizer's
}

TEST(ThreadedStreamsTest, StopLetsRunningRequestsEnd) {
  KeptReplies kept;
  RunningServer server(kept.Handler());
  RawClient running(server.port()), idle(server.port());
  ASSERT_TRUE(running.Write(kGet));
  const auto reply = kept.WaitForOne();
  ASSERT_TRUE(idle.Write(kGet));
  kept.Wait(2)[1]->Send(200, "a");
  EXPECT_EQ(idle.Read().status, 200);
  std::thread stop([&] { server.StopAndJoin(std::chrono::minutes(10)); });
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_THROW(RawClient(server.port()), std::runtime_error);  // nobody listens
  reply->BeginStream(200, "text/event-stream");
  reply->Write("data: last\n\n");
  reply->End();
  const RawReply last = running.Read();
  EXPECT_TRUE(last.complete);
  EXPECT_EQ(last.body, "data: last\n\n");
  EXPECT_EQ(last.Header("connection"), "close");
  stop.join();
}

TEST(ThreadedStreamsTest, StopCutsOffWhatDoesNotEnd) {
  KeptReplies kept;
  RunningServer server(kept.Handler());
  std::atomic<int> calls{0};
  RawClient client(server.port());
  ASSERT_TRUE(client.Write(kGet));
  const auto reply = kept.WaitForOne();
  reply->OnGone([&] { ++calls; });
  reply->BeginStream(200, "text/event-stream");
  client.ReadHead();
  server.StopAndJoin(milliseconds(10));
  EXPECT_EQ(calls.load(), 1);
  EXPECT_TRUE(reply->gone());
  EXPECT_EQ(client.ReadChunk(), std::nullopt);
}

TEST(ThreadedStreamsTest, ReplyOutlivesTheServer) {
  KeptReplies kept;
  std::shared_ptr<HttpReply> reply;
  {
    RunningServer server(kept.Handler());
    RawClient client(server.port());
    ASSERT_TRUE(client.Write(kGet));
    reply = kept.WaitForOne();
    kept.Drop();
  }
  EXPECT_TRUE(reply->gone());
  reply->Send(200, "late");
  reply->CountTokens(1);
  reply.reset();
}

TEST(ThreadedStreamsTest, ServerMayNeverRun) {
  HttpOptions options;
  options.port = 0;
  const HttpServer server(options, EchoRequest);
  EXPECT_NE(server.port(), 0);
}

}  // namespace
}  // namespace linnet
