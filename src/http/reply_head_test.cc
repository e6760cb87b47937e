#include "http/reply_head.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "http/access_log.h"

namespace linnet {
namespace {

TEST(ReplyHeadTest, HeadersCannotBeSplit) {
  const HttpHeaders more = {{"X-A", "b\r\nX-Evil: c"}, {"bad name", "d"}, {"X-Tab", "e\tf"}};
  const std::string head = FormatHead({200, "text/plain", 3, true, false, "id", "", &more});
  EXPECT_NE(head.find("X-A: bX-Evil: c\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("bad name"), std::string::npos);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\nDate: "));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_EQ(head.find("\r\n\r\n"), head.size() - 4);
}

TEST(ReplyHeadTest, RepliesWithoutBodyHaveNoLength) {
  for (const int status : {204, 304}) {
    const std::string head = FormatHead({status, "text/plain", 3, true, false, "", "", nullptr});
    EXPECT_EQ(head.find("Content-"), head.find("Content-Type-Options")) << head;
  }
}

TEST(ReplyHeadTest, ErrorsAreJsonWhateverTheMessage) {
  const std::string message =
      "a\"b\\c\n\x01\x7f \xC3\xA4 \xE2\x82\xAC \xF0\x9F\x90\xA6 \xFF\xC3(\xE2\x82";
  const auto error = nlohmann::json::parse(HttpErrorBody(message, "server_error", ""));
  EXPECT_EQ(error["error"]["message"],
            "a\"b\\c\n\x01\x7f \xC3\xA4 \xE2\x82\xAC \xF0\x9F\x90\xA6 "
            "\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_TRUE(error["error"]["code"].is_null());
  EXPECT_TRUE(error["error"]["param"].is_null());
  EXPECT_EQ(error["error"]["type"], "server_error");
  EXPECT_EQ(nlohmann::json::parse(HttpErrorBody("", "", "c"))["error"]["code"], "c");
}

TEST(ReplyHeadTest, LogLinesAreOneLineWhateverTheRequest) {
  LoggedRequest request;
  request.id = "id1";
  request.peer = "127.0.0.1:5";
  request.method = "GET";
  request.path = "/a\"\xFF\x01 b";
  request.status = 200;
  request.end = RequestEnd::kCutOff;
  request.bytes_in = 10;
  request.bytes_out = 20;
  request.first_byte = std::chrono::microseconds(1500);
  request.total = std::chrono::microseconds(2500);
  const std::chrono::system_clock::time_point time(std::chrono::milliseconds(1'700'000'000'123));
  EXPECT_EQ(LogLine(HttpLogFormat::kText, request, time),
            "2023-11-14T22:13:20.123Z 127.0.0.1:5 - id1 GET \"/a\\\"\xEF\xBF\xBD\\u0001 b\" 200 "
            "cut_off in=10 out=20 first_ms=1.500 ms=2.500");
  const auto line = nlohmann::json::parse(LogLine(HttpLogFormat::kJson, request, time));
  EXPECT_EQ(line["time"], "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(line["path"], "/a\"\xEF\xBF\xBD\x01 b");
  EXPECT_EQ(line["end"], "cut_off");
  EXPECT_EQ(line["ms"], 2.5);
}

// docs/serving.md shows a request's line in both formats.
TEST(ReplyHeadTest, LinesOfTheDocumentationAreTrue) {
  LoggedRequest request;
  request.id = "0af7651916cd43dd8448eb211c80319c";
  request.peer = "127.0.0.1:50123";
  request.owner = "anna";
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.status = 200;
  request.bytes_in = 523;
  request.bytes_out = 18234;
  request.first_byte = std::chrono::microseconds(81'250);
  request.total = std::chrono::microseconds(2'310'004);
  const std::chrono::system_clock::time_point time(std::chrono::milliseconds(1'795'958'407'123));
  std::ifstream page("docs/serving.md");
  const std::string text{std::istreambuf_iterator<char>(page), {}};
  for (const auto format : {HttpLogFormat::kText, HttpLogFormat::kJson}) {
    const std::string line = LogLine(format, request, time);
    EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace linnet
