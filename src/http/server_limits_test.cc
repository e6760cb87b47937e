// Limits of a running server: sizes, counts, and times that run out.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "http/http.h"
#include "http/raw_client.h"

namespace linnet {
namespace {

using std::chrono::milliseconds;
using test::EchoRequest;
using test::KeptReplies;
using test::kGet;
using test::PostOf;
using test::RawClient;
using test::RawReply;
using test::RunningServer;

TEST(ServerLimitsTest, LargeHeadsAndBodiesAreRefused) {
  HttpOptions options;
  options.limits.header_bytes = 1000;
  options.limits.body_bytes = 10'000;
  RunningServer server(EchoRequest, options);
  const auto status = [&](const std::string& request) {
    RawClient client(server.port());
    const RawReply reply = client.Ask(request);
    EXPECT_TRUE(reply.complete);
    if (reply.status != 200) {
      EXPECT_EQ(reply.Header("connection"), "close");
      EXPECT_TRUE(client.AtEnd());
    }
    return reply.status;
  };
  EXPECT_EQ(status(PostOf(std::string(10'000, 'a'))), 200);
  EXPECT_EQ(status(PostOf(std::string(10'001, 'a'))), 413);
  EXPECT_EQ(status(PostOf("", "X: " + std::string(2000, 'a') + "\r\n")), 431);
  EXPECT_EQ(status("GET /" + std::string(2000, 'a')), 431);
}

// The client reads the refusal although it has not stopped sending.
TEST(ServerLimitsTest, BodyOf100MegabytesIsRefusedAndNotKept) {
  RunningServer server(EchoRequest);
  for (const char* length : {"Content-Length: 104857600", "Transfer-Encoding: chunked"}) {
    RawClient client(server.port());
    ASSERT_TRUE(
        client.Write("POST / HTTP/1.1\r\nHost: localhost\r\n" + std::string(length) + "\r\n\r\n"));
    const std::string piece = std::string("100000\r\n") + std::string(1 << 20, 'a') + "\r\n";
    for (int i = 0; i < 100 && client.Write(piece); ++i) {
    }
    const RawReply reply = client.Read();
    EXPECT_EQ(reply.status, 413) << length;
    EXPECT_TRUE(reply.complete);
  }
  EXPECT_EQ(server.server().statistics().replies.at(413), 2u);
}

TEST(ServerLimitsTest, BodiesOfAllRequestsShareABudget) {
  HttpOptions options;
  options.limits.body_bytes = 100'000;
  options.limits.all_bodies_bytes = 150'000;
  RunningServer server(EchoRequest, options);
  const std::string request = PostOf(std::string(100'000, 'a'));
  const std::string half = request.substr(0, request.size() - 20'000);
  RawClient first(server.port()), second(server.port());
  ASSERT_TRUE(first.Write(half));
  ASSERT_TRUE(
      server.WaitFor([&](const HttpStatistics& all) { return all.bytes_received >= half.size(); }));
  const RawReply refused = second.Ask(request);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.Header("retry-after"), "1");
  EXPECT_EQ(first.Ask(std::string(20'000, 'a')).status, 200);
  EXPECT_EQ(RawClient(server.port()).Ask(request).status, 200);  // the budget is free again
}

TEST(ServerLimitsTest, ConnectionsAreCounted) {
  HttpOptions options;
  options.limits.connections = 3;
  RunningServer server(EchoRequest, options);
  {
    RawClient a(server.port()), b(server.port()), c(server.port());
    for (RawClient* client : {&a, &b, &c}) EXPECT_EQ(client->Ask(kGet).status, 200);
    RawClient d(server.port());
    const RawReply refused = d.Read();
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(refused.Header("retry-after"), "1");
    EXPECT_EQ(a.Ask(kGet).status, 200);
  }
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) { return all.connections == 0; }));
  EXPECT_EQ(RawClient(server.port()).Ask(kGet).status, 200);
  EXPECT_EQ(server.server().statistics().connections_refused, 1u);
}

TEST(ServerLimitsTest, ConnectionsOfOneAddressAreCounted) {
  HttpOptions options;
  options.limits.connections_per_peer = 2;
  RunningServer server(EchoRequest, options);
  {
    RawClient a(server.port()), b(server.port());
    for (RawClient* client : {&a, &b}) EXPECT_EQ(client->Ask(kGet).status, 200);
    EXPECT_EQ(RawClient(server.port()).Read().status, 429);
  }
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) { return all.connections == 0; }));
  EXPECT_EQ(RawClient(server.port()).Ask(kGet).status, 200);
}

// The status of the reply to the beginning of a request. On a busy machine the time may have run
// out before the first byte, and the connection is closed without a word: then it is tried again.
int StatusOfHalf(uint16_t port, std::string_view half) {
  for (;;) {
    RawClient client(port);
    client.Write(half);
    const RawReply reply = client.Read();
    EXPECT_TRUE(client.AtEnd());
    if (reply.status != 0) return reply.status;
  }
}

TEST(ServerLimitsTest, SlowHeadsAndBodiesAreTimedOut) {
  HttpOptions options;
  options.limits.header_time = options.limits.body_time = milliseconds(100);
  RunningServer server(EchoRequest, options);
  const std::string request = PostOf("abc");
  EXPECT_EQ(StatusOfHalf(server.port(), request.substr(0, 20)), 408);
  EXPECT_EQ(StatusOfHalf(server.port(), request.substr(0, request.size() - 1)), 408);
  EXPECT_EQ(server.server().statistics().timed_out, 2u);
  EXPECT_TRUE(RawClient(server.port()).AtEnd());  // without a word: it had not asked
  EXPECT_EQ(server.server().statistics().timed_out, 2u);
}

// Whoever sends a byte now and then does not get more time.
TEST(ServerLimitsTest, DrippedHeadIsTimedOut) {
  HttpOptions options;
  options.limits.header_time = milliseconds(200);
  RunningServer server(EchoRequest, options);
  while (server.server().statistics().timed_out == 0) {
    RawClient client(server.port());
    client.Write("GET / HTTP/1.1\r\nX: ");
    while (client.Write("a")) std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(server.server().statistics().replies.count(200), 0u);
}

TEST(ServerLimitsTest, IdleConnectionsAreClosed) {
  HttpOptions options;
  options.limits.idle_time = milliseconds(50);
  RunningServer server(EchoRequest, options);
  RawClient client(server.port());
  EXPECT_EQ(client.Ask(kGet).status, 200);
  EXPECT_TRUE(client.AtEnd());
  EXPECT_EQ(server.server().statistics().timed_out, 0u);
}

// The kernel's buffers are filled first, so the reply is larger than those.
TEST(ServerLimitsTest, ClientThatTakesNothingIsCutOff) {
  HttpOptions options;
  options.limits.write_time = milliseconds(100);
  KeptReplies kept;
  RunningServer server(kept.Handler(), options);
  RawClient client(server.port(), 4096);
  ASSERT_TRUE(client.Write(kGet));
  kept.WaitForOne()->Send(200, std::string(64 << 20, 'a'));
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) { return all.cut_off == 1; }));
  EXPECT_FALSE(client.Read().complete);
}

TEST(ServerLimitsTest, LargeReplyReachesAClientThatReads) {
  RunningServer server([](HttpRequest, std::shared_ptr<HttpReply> reply) {
    reply->Send(200, std::string(64 << 20, 'a'), "text/plain");
  });
  RawClient client(server.port());
  const RawReply reply = client.Ask(kGet);
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.body, std::string(64 << 20, 'a'));
}

}  // namespace
}  // namespace linnet
