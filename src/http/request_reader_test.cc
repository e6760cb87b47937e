#include "http/request_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace linnet {
namespace {

using Event = RequestReader::Event;

struct Outcome {
  std::vector<std::string> requests;  // method, target, headers and body of each
  Refusal refusal;
  size_t left = 0;
};

// Feeds `bytes` in pieces of `size`.
Outcome ReadInPieces(const std::string& bytes, size_t size, const HttpLimits& limits) {
  RequestReader reader(limits);
  Outcome outcome;
  for (size_t at = 0; at < bytes.size(); at += size) {
    reader.Append(std::string_view(bytes).substr(at, size));
    for (bool more = true; more;) {
      switch (reader.Next()) {
        case Event::kMore:
          more = false;
          break;
        case Event::kHead:
          break;
        case Event::kDone: {
          std::string all = reader.head().method + " " + reader.head().target;
          for (const auto& [name, value] : reader.head().headers) {
            all += "\n" + name + ": " + value;
          }
          outcome.requests.push_back(all + "\n\n" + reader.TakeBody());
          reader.Reset();
          break;
        }
        case Event::kBad:
          outcome.refusal = reader.refusal();
          return outcome;
      }
    }
  }
  outcome.left = reader.buffered();
  return outcome;
}

Outcome ReadWhole(const std::string& bytes, const HttpLimits& limits = {}) {
  return ReadInPieces(bytes, bytes.size(), limits);
}

TEST(RequestReaderTest, PiecesDoNotChangeWhatIsRead) {
  const std::string bytes =
      "GET /a?b HTTP/1.1\r\nHost: x\r\nAccept:  */* \r\n\r\n"
      "\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3;name=value\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
      "GET /d HTTP/1.0\r\n\r\nGET /rest";
  for (size_t size = 1; size <= bytes.size(); ++size) {
    const Outcome outcome = ReadInPieces(bytes, size, {});
    ASSERT_EQ(outcome.refusal.status, 0) << outcome.refusal.message;
    ASSERT_EQ(outcome.requests, (std::vector<std::string>{
                                    "GET /a?b\nhost: x\naccept: */*\n\n",
                                    "POST /b\nhost: x\ncontent-length: 5\n\nhello",
                                    "POST /c\nhost: x\ntransfer-encoding: Chunked\n\n"
                                    "abc0123456789",
                                    "GET /d\n\n",
                                }))
        << size;
    ASSERT_EQ(outcome.left, 9u);
  }
}

TEST(RequestReaderTest, MalformedRequestsAreRefusedWithTheirStatus) {
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  const struct {
    int status;
    std::string bytes;
  } cases[] = {
      {400, "\x16\x03\x01\x02hello, this is TLS\r\n\r\n"},
      {400, "GET\r\n\r\n"},
      {400, "GET  / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nNo colon\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n: x\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nA : x\r\n\r\n"},
      {400, std::string("GET / HTTP/1.1\r\nA: \0\r\n\r\n", 24)},
      {400, std::string("GET /\0 HTTP/1.1\r\n\r\n", 19)},
      {505, "GET / HTTP/2.0\r\n\r\n"},
      {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {400, post + "Content-Length: -1\r\n\r\n"},
      {400, post + "Content-Length: 1x\r\n\r\n"},
      {400, post + "Content-Length: 99999999999999999999\r\n\r\n"},
      {400, post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"},
      {400, post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"},
      {400, post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"},
      {400, post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"},
      {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {501, post + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
      {501, post + "Transfer-Encoding: xchunked\r\n\r\n"},
      {501, post + "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"},
      {417, post + "Expect: tea\r\nContent-Length: 3\r\n\r\nabc"},
  };
  for (const auto& [status, bytes] : cases) {
    EXPECT_EQ(ReadWhole(bytes).refusal.status, status) << bytes;
    EXPECT_EQ(ReadInPieces(bytes, 1, {}).refusal.status, status) << bytes;
  }
}

// A line feed alone ends no line; a proxy in front may see it otherwise.
TEST(RequestReaderTest, BareLineFeedsMakeNoRequest) {
  for (const std::string& bytes : std::vector<std::string>{
           "GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nHost: x\n\nGET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: x\r\n\nPOST"}) {
    EXPECT_TRUE(ReadWhole(bytes).requests.empty()) << bytes;
    EXPECT_TRUE(ReadInPieces(bytes, 1, {}).requests.empty()) << bytes;
  }
}

TEST(RequestReaderTest, LimitsHoldForHeadsBodiesChunksAndTrailers) {
  HttpLimits limits;
  limits.header_bytes = 200;
  limits.body_bytes = 1000;
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  const auto status = [&](const std::string& bytes) {
    const int whole = ReadWhole(bytes, limits).refusal.status;
    EXPECT_EQ(ReadInPieces(bytes, 7, limits).refusal.status, whole) << bytes;
    return whole;
  };
  EXPECT_EQ(status("GET /" + std::string(100, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
  EXPECT_EQ(status("GET /" + std::string(300, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"), 431);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nA: " + std::string(300, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nA: " + std::string(300, 'a')), 431);  // without an end
  EXPECT_EQ(status(post + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'a')), 0);
  EXPECT_EQ(status(post + "Content-Length: 1001\r\n\r\n"), 413);
  EXPECT_EQ(status(chunked + "3e8\r\n" + std::string(1000, 'a') + "\r\n0\r\n\r\n"), 0);
  EXPECT_EQ(status(chunked + "3e8\r\n" + std::string(1000, 'a') + "\r\n1\r\na\r\n"), 413);
  EXPECT_EQ(status(chunked + "ffffffffffffffff\r\n"), 413);
  EXPECT_EQ(status(chunked + "1;" + std::string(300, 'a') + "\r\na\r\n0\r\n\r\n"), 431);
  EXPECT_EQ(status(chunked + "0\r\nA: " + std::string(300, 'a') + "\r\n\r\n"), 431);
}

TEST(RequestReaderTest, AnnouncedLengthTakesNoMemory) {
  HttpLimits limits;
  limits.body_bytes = size_t{1} << 60;
  RequestReader reader(limits);
  reader.Append("POST / HTTP/1.1\r\nContent-Length: 1000000000000000000\r\n\r\nabc");
  EXPECT_EQ(reader.Next(), Event::kHead);
  EXPECT_EQ(reader.head().content_length, 1'000'000'000'000'000'000u);
  EXPECT_EQ(reader.Next(), Event::kMore);
  EXPECT_EQ(reader.body_bytes(), 3u);
  EXPECT_EQ(reader.buffered(), 0u);
  EXPECT_LT(reader.TakeBody().capacity(), 1000u);
}

TEST(RequestReaderTest, KeepAliveFollowsVersionAndHeader) {
  const auto keeps = [](const std::string& head) {
    const HttpLimits limits;
    RequestReader reader(limits);
    reader.Append(head + "\r\n");
    EXPECT_EQ(reader.Next(), Event::kHead);
    return reader.head().keep_alive;
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nConnection: Close\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n"));
}

}  // namespace
}  // namespace linnet
