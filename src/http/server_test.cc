// Requests and replies of a running server: what is read, answered and written to the log.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "http/http.h"
#include "http/raw_client.h"

namespace linnet {
namespace {

using test::EchoRequest;
using test::KeptReplies;
using test::kGet;
using test::PostOf;
using test::RawClient;
using test::RawReply;
using test::RunningServer;

TEST(ServerTest, AnswersManyRequestsOfOneConnection) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  for (int i = 0; i < 100; ++i) {
    const RawReply reply = client.Ask(i % 2 == 0 ? std::string(kGet) : PostOf("x\xC3\xA4"));
    ASSERT_EQ(reply.status, 200);
    ASSERT_EQ(reply.body, i % 2 == 0 ? "GET /a? " : "POST /post? x\xC3\xA4");
    ASSERT_EQ(reply.Header("content-type"), "text/plain");
    ASSERT_EQ(reply.Header("connection"), "");
    ASSERT_EQ(reply.Header("x-request-id").size(), 32u);
  }
  EXPECT_EQ(server.server().statistics().connections_accepted, 1u);
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) {
    return all.replies.contains(200) && all.replies.at(200) == 100 && all.requests_running == 0;
  }));
}

TEST(ServerTest, AnyNumberOfThreadsServes) {
  for (const size_t threads : {1u, 2u, 3u}) {
    HttpOptions options;
    options.threads = threads;
    RunningServer server(EchoRequest, options);
    std::vector<std::unique_ptr<RawClient>> clients;
    clients.reserve(20);
    for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<RawClient>(server.port()));
    for (const auto& client : clients) ASSERT_TRUE(client->Write(kGet));
    for (const auto& client : clients) ASSERT_EQ(client->Read().status, 200);
  }
}

TEST(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  std::string all;
  for (int i = 0; i < 2000; ++i) all += PostOf(std::to_string(i));
  ASSERT_TRUE(client.Write(all));
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(client.Read().body, "POST /post? " + std::to_string(i));
  }
}

TEST(ServerTest, PipelinedRequestWaitsForTheReplyBefore) {
  KeptReplies kept;
  RunningServer server(kept.Handler());
  RawClient client(server.port());
  ASSERT_TRUE(client.Write(std::string(kGet) + kGet));
  const auto first = kept.WaitForOne();
  first->Send(200, "first");
  const auto second = kept.Wait(2)[1];
  second->Send(200, "second");
  EXPECT_EQ(client.Read().body, "first");
  EXPECT_EQ(client.Read().body, "second");
}

TEST(ServerTest, ChunkedBodiesArriveWhole) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client
                  .Ask("POST /post HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                       "\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
                  .body,
              "POST /post? abcde");
  }
}

TEST(ServerTest, RequestArrivesByteByByte) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  for (const char byte : PostOf("abc")) ASSERT_TRUE(client.Write({&byte, 1}));
  EXPECT_EQ(client.Read().body, "POST /post? abc");
}

TEST(ServerTest, ContinueIsSentWhenTheBodyIsWaitedFor) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  const std::string request = PostOf("abc", "Expect: 100-continue\r\n");
  ASSERT_TRUE(client.Write(request.substr(0, request.size() - 3)));
  EXPECT_EQ(client.Read().status, 100);
  EXPECT_EQ(client.Ask("abc").body, "POST /post? abc");
}

TEST(ServerTest, ContinueIsNotSentForARefusedBody) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  const RawReply reply = client.Ask(
      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(reply.status, 413);
  EXPECT_EQ(reply.Header("connection"), "close");
}

TEST(ServerTest, HeadHasTheLengthAndNoBody) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  const RawReply head = client.Ask("HEAD /a HTTP/1.1\r\nHost: localhost\r\n\r\n", true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Header("content-length"), std::to_string(std::string("GET /a? ").size()));
  EXPECT_EQ(client.Ask(kGet).body, "GET /a? ");  // nothing was left between
}

TEST(ServerTest, HeadOfAStreamHasNoChunks) {
  RunningServer server([](HttpRequest, std::shared_ptr<HttpReply> reply) {
    reply->BeginStream(200, "text/event-stream");
    reply->Write("data: a\n\n");
    reply->End();
  });
  RawClient client(server.port());
  EXPECT_EQ(client.Ask("HEAD /a HTTP/1.1\r\nHost: localhost\r\n\r\n", true).status, 200);
  EXPECT_EQ(client.Ask(kGet).body, "data: a\n\n");
}

TEST(ServerTest, Http10IsAnsweredWithoutChunks) {
  RunningServer server([](HttpRequest request, std::shared_ptr<HttpReply> reply) {
    if (request.path == "/a") return reply->Send(200, "whole");
    reply->BeginStream(200, "text/event-stream");
    reply->Write("one ");
    reply->Write("two");
    reply->End();
  });
  RawClient client(server.port());
  const RawReply kept = client.Ask("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(kept.body, "whole");
  EXPECT_EQ(kept.Header("connection"), "keep-alive");
  const RawReply stream = client.Ask("GET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(stream.body, "one two");
  EXPECT_EQ(stream.Header("connection"), "close");
  EXPECT_TRUE(client.AtEnd());
}

TEST(ServerTest, ConnectionClosesWhenTheClientAsksForIt) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  const RawReply reply =
      client.Ask("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(reply.body, "GET /a? ");
  EXPECT_EQ(reply.Header("connection"), "close");
  EXPECT_TRUE(client.AtEnd());
}

// A client that only ends its sending side still gets an answer that is complete by then.
TEST(ServerTest, HalfClosedClientGetsItsAnswer) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  ASSERT_TRUE(client.Write(kGet));
  client.EndWriting();
  EXPECT_EQ(client.Read().body, "GET /a? ");
  EXPECT_TRUE(client.AtEnd());
}

TEST(ServerTest, MalformedRequestsGet400AndTheConnectionEnds) {
  RunningServer server(EchoRequest);
  for (const std::string& bytes : std::vector<std::string>{
           "\x16\x03\x01 not HTTP\r\n\r\n", "GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
           "GET a HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", PostOf("\xFF\xFE"),
           PostOf("{\"a\":\"\xC3(\"}", "Content-Type: application/json\r\n")}) {
    RawClient client(server.port());
    const RawReply reply = client.Ask(bytes);
    EXPECT_EQ(reply.status, 400) << bytes;
    const auto error = nlohmann::json::parse(reply.body)["error"];
    EXPECT_EQ(error["type"], "invalid_request_error");
    EXPECT_TRUE(error.contains("message") && error.contains("param") && error.contains("code"));
  }
  RawClient client(server.port());
  EXPECT_EQ(client.Ask(PostOf("\xFF", "Content-Type: application/octet-stream\r\n")).status, 200);
}

TEST(ServerTest, HalfRequestsAreForgotten) {
  RunningServer server(EchoRequest);
  const std::string request = PostOf("abc");
  for (size_t size = 0; size < request.size(); ++size) {
    RawClient client(server.port());
    ASSERT_TRUE(client.Write(std::string_view(request).substr(0, size)));
    if (size % 2 == 0) client.Abort();
  }
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) { return all.connections == 0; }));
  EXPECT_EQ(server.server().statistics().replies.count(200), 0u);
  EXPECT_EQ(RawClient(server.port()).Ask(kGet).status, 200);
}

TEST(ServerTest, IdsAndTracesAreKept) {
  KeptReplies kept;
  RunningServer server(kept.Handler());
  RawClient client(server.port());
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  ASSERT_TRUE(
      client.Write("GET /a HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine-1\r\n"
                   "traceparent: " +
                   trace + "\r\n\r\n"));
  kept.WaitForOne()->Send(200, "");
  EXPECT_EQ(client.Read().Header("x-request-id"), "mine-1");
  const HttpRequest request = kept.FirstRequest();
  EXPECT_EQ(request.id, "mine-1");
  EXPECT_EQ(request.traceparent, trace);
  EXPECT_EQ(request.Header("x-request-id"), "mine-1");
  EXPECT_TRUE(request.peer.starts_with("127.0.0.1:"));
  ASSERT_TRUE(
      client.Write("GET /a HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a b\r\n"
                   "traceparent: 00-0\r\n\r\n"));
  kept.Wait(2)[1]->Send(200, "");
  EXPECT_EQ(client.Read().Header("x-request-id").size(), 32u);
}

TEST(ServerTest, HandlersThatFailAnswer500) {
  std::mutex mutex;
  std::vector<std::string> lines;
  HttpOptions options;
  options.log = [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(line);
  };
  RunningServer server(
      [](HttpRequest request, std::shared_ptr<HttpReply> reply) {
        if (request.path == "/a") throw std::runtime_error("/secret/path");
        if (request.path == "/drop") return;
        reply->BeginStream(200, "text/event-stream");
        reply->Write("data: a\n\n");
      },
      options);
  RawClient client(server.port());
  const RawReply thrown = client.Ask(kGet);
  EXPECT_EQ(thrown.status, 500);
  EXPECT_EQ(thrown.body.find("secret"), std::string::npos);
  EXPECT_EQ(client.Ask("GET /drop HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 500);
  const RawReply stream = client.Ask("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(stream.body, "data: a\n\n");
  EXPECT_FALSE(stream.complete);  // so that the client knows that something is missing
  EXPECT_TRUE(client.AtEnd());
  server.StopAndJoin(std::chrono::milliseconds(0));
  ASSERT_FALSE(lines.empty());
  EXPECT_NE(lines[0].find("error \"/secret/path\""), std::string::npos) << lines[0];
}

TEST(ServerTest, LogHasALineForEachRequestAndNoQueryNorBody) {
  for (const auto format : {HttpLogFormat::kText, HttpLogFormat::kJson}) {
    std::vector<std::string> lines;
    HttpOptions options;
    options.log_format = format;
    options.log = [&](std::string_view line) { lines.emplace_back(line); };
    RunningServer server(EchoRequest, options);
    {
      RawClient client(server.port());
      client.Ask(
          "POST /a%20b?secret-query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n"
          "Authorization: Bearer secret-key\r\nX-Request-Id: id1\r\n\r\nsecret-body");
      client.Ask("nonsense\r\n\r\n");
    }
    server.StopAndJoin(std::chrono::minutes(1));
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0].find("secret"), std::string::npos) << lines[0];
    EXPECT_NE(lines[0].find("id1"), std::string::npos);
    EXPECT_NE(lines[0].find("/a%20b"), std::string::npos);
    EXPECT_NE(lines[1].find("400"), std::string::npos);
    if (format == HttpLogFormat::kJson) {
      const auto line = nlohmann::json::parse(lines[0]);
      EXPECT_EQ(line["status"], 200);
      EXPECT_EQ(line["method"], "POST");
      EXPECT_EQ(line["end"], "done");
    }
  }
}

}  // namespace
}  // namespace linnet
