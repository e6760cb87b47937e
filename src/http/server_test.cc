// Requests and replies of a running server: what is read, answered and refused.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "http/http.h"
#include "http/raw_client.h"

namespace linnet {
namespace {

using test::RawClient;
using test::RawReply;
using test::RunningServer;

constexpr const char* kGet = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

// Answers with the method, path, query and size or text of the body.
void EchoRequest(HttpRequest request, std::shared_ptr<HttpReply> reply) {
  reply->Send(200,
              request.method + " " + request.path + "?" + request.query + " " +
                  (request.body.size() < 1000 ? request.body : std::to_string(request.body.size())),
              "text/plain");
}

std::string Post(const std::string& body, const std::string& headers = "") {
  return "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

TEST(ServerTest, AnswersManyRequestsOfOneConnection) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  for (int i = 0; i < 100; ++i) {
    const RawReply reply = client.Ask(i % 2 == 0 ? std::string(kGet) : Post("x\xC3\xA4"));
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

TEST(ServerTest, OneThreadServesAsManyConnectionsAsTwo) {
  for (const size_t threads : {1u, 2u, 3u}) {
    HttpOptions options;
    options.threads = threads;
    RunningServer server(EchoRequest, options);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<RawClient>(server.port()));
    for (const auto& client : clients) ASSERT_TRUE(client->Write(kGet));
    for (const auto& client : clients) ASSERT_EQ(client->Read().status, 200);
  }
}

}  // namespace
}  // namespace linnet
