#include "http/request_rules.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/is_utf8.h"
#include "linnet/error.h"

namespace linnet {
namespace {

RequestHead HeadOf(HttpHeaders headers) {
  RequestHead head;
  head.method = "GET";
  head.target = "/";
  head.headers = std::move(headers);
  return head;
}

int StatusOf(const RequestRules& rules, HttpHeaders headers, bool unix_socket = false) {
  const auto refusal = rules.Check(HeadOf(std::move(headers)), unix_socket);
  return refusal ? refusal->status : 200;
}

TEST(RequestRulesTest, OnlyNamesOfThisServerAreHosts) {
  HttpOptions options;
  options.host = "models.lan";
  options.allowed_hosts = {"Example.COM", "other.org:8443", "::1"};
  const RequestRules rules(options);
  for (const char* host :
       {"localhost", "LOCALHOST:8080", "a.localhost", "127.0.0.1", "127.0.0.1:1", "[::1]:8080",
        "10.1.2.3:80", "models.lan:8080", "example.com", "other.org:1"}) {
    EXPECT_EQ(StatusOf(rules, {{"host", host}}), 200) << host;
  }
  for (const char* host : {"evil.example.com", "example.com.evil.org", "localhost.evil.org",
                           "notlocalhost", "127.0.0.1.evil.org", "models.lan."}) {
    EXPECT_EQ(StatusOf(rules, {{"host", host}}), 403) << host;
    EXPECT_EQ(StatusOf(rules, {{"host", host}}, true), 200) << host;
  }
  for (const char* host : {"", "a b", "a:b", "a:123456", "[::1", "[evil]", "a/b", "user@localhost",
                           "localhost:80:80"}) {
    EXPECT_EQ(StatusOf(rules, {{"host", host}}), 400) << host;
  }
  EXPECT_EQ(StatusOf(rules, {}), 400);
  EXPECT_EQ(StatusOf(rules, {{"host", "localhost"}, {"host", "localhost"}}), 400);
  options.allowed_hosts = {"*"};
  EXPECT_EQ(StatusOf(RequestRules(options), {{"host", "evil.org"}}), 200);
  options.allowed_hosts = {"not a host"};
  EXPECT_THROW(RequestRules{options}, Error);
}

TEST(RequestRulesTest, PagesOfOtherOriginsAreRefusedUnlessListed) {
  HttpOptions options;
  const auto status = [&](const std::string& origin) {
    return StatusOf(RequestRules(options), {{"host", "localhost:8080"}, {"origin", origin}});
  };
  EXPECT_EQ(status("http://localhost:8080"), 200);  // its own page
  EXPECT_EQ(status("https://localhost:8080"), 200);
  EXPECT_EQ(status("http://localhost:8081"), 403);
  EXPECT_EQ(status("https://evil.org"), 403);
  EXPECT_EQ(status("null"), 403);
  options.cors_origins = {"https://Chat.example.com"};
  EXPECT_EQ(status("https://chat.example.com"), 200);
  EXPECT_EQ(status("https://chat.example.com.evil.org"), 403);
  EXPECT_EQ(status("http://chat.example.com"), 403);
  options.cors_origins = {"*"};
  EXPECT_EQ(status("https://evil.org"), 200);
  for (const char* bad : {"example.com", "https://a.com/", "https://a.com, https://b.com"}) {
    options.cors_origins = {bad};
    EXPECT_THROW(RequestRules{options}, Error) << bad;
  }
}

TEST(RequestRulesTest, CorsHeadersNameTheOriginThatIsAllowed) {
  HttpOptions options;
  const RequestHead head = HeadOf({{"host", "localhost"}, {"origin", "https://a.com"}});
  EXPECT_EQ(RequestRules(options).CorsHeaders(head), "");
  options.cors_origins = {"https://a.com"};
  const std::string listed = RequestRules(options).CorsHeaders(head);
  EXPECT_NE(listed.find("Access-Control-Allow-Origin: https://a.com\r\n"), std::string::npos);
  EXPECT_NE(listed.find("Vary: Origin\r\n"), std::string::npos);
  EXPECT_EQ(RequestRules(options).CorsHeaders(HeadOf({{"host", "localhost"}})), "Vary: Origin\r\n");
  options.cors_origins = {"*"};
  EXPECT_NE(RequestRules(options).CorsHeaders(head).find("Access-Control-Allow-Origin: *\r\n"),
            std::string::npos);
}

TEST(RequestRulesTest, Utf8IsExact) {
  for (const char* good :
       {"", "abc", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "12345678\xC3\xA4"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xE0\xA0",
        "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
        "12345678\xC3", "1234567\xC3(", "\xE2\x82\x28"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

TEST(RequestRulesTest, TargetsAreDecodedOnceAndChecked) {
  const auto path = [](std::string_view target) {
    const auto parsed = ParseTarget(target);
    return parsed ? parsed->path + "|" + parsed->query : "none";
  };
  EXPECT_EQ(path("/"), "/|");
  EXPECT_EQ(path("/v1/models/a%2Fb%20c?x=%41&y"), "/v1/models/a/b c|x=%41&y");
  EXPECT_EQ(path("/%2541"), "/%41|");
  EXPECT_EQ(path("/a+b"), "/a+b|");
  EXPECT_EQ(path("http://localhost:80/a?b"), "/a|b");
  EXPECT_EQ(path("HTTP://localhost"), "/|");
  EXPECT_EQ(path("http://localhost?q"), "/|q");
  EXPECT_EQ(path("*"), "*|");
  for (const char* bad :
       {"", "a", "localhost:80", "/%", "/%4", "/%zz", "/%00", "/%ff", "/a#b", "ftp://a/b"}) {
    EXPECT_EQ(path(bad), "none") << bad;
  }
}

TEST(RequestRulesTest, QueryValuesAreDecoded) {
  HttpRequest request;
  request.query = "a=1&b=x%20y+z&a=2&c&d=%ff&=e";
  EXPECT_EQ(request.QueryValue("a"), "1");
  EXPECT_EQ(request.QueryValue("b"), "x y z");
  EXPECT_EQ(request.QueryValue("c"), "");
  EXPECT_EQ(request.QueryValue("d"), std::nullopt);
  EXPECT_EQ(request.QueryValue("f"), std::nullopt);
}

TEST(RequestRulesTest, TraceparentsAreThoseOfTheStandard) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_TRUE(IsTraceparent(good));
  EXPECT_TRUE(IsTraceparent("01" + good.substr(2) + "-later"));
  for (const std::string& bad :
       std::vector<std::string>{"", "ff" + good.substr(2), good + "-x", good.substr(1),
                                "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                "01" + good.substr(2) + "x", "01" + good.substr(2) + "-a b"}) {
    EXPECT_FALSE(IsTraceparent(bad)) << bad;
  }
}

TEST(RequestRulesTest, IdsAreSaneAndDiffer) {
  EXPECT_TRUE(IsSaneId("req_1-2.3:4/5+6="));
  for (const std::string& bad :
       {std::string(), std::string("a b"), std::string("a\nb"), std::string("\xC3\xA4"),
        std::string("a\"b"), std::string(129, 'a')}) {
    EXPECT_FALSE(IsSaneId(bad)) << bad;
  }
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(NewRequestId());
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_TRUE(IsSaneId(*ids.begin()));
}

TEST(RequestRulesTest, TextTypesAreRecognized) {
  for (const char* type : {"", "application/json", "Application/JSON; charset=utf-8",
                           "application/vnd.api+json", "text/plain", "application/x-ndjson"}) {
    EXPECT_TRUE(IsTextType(type)) << type;
  }
  for (const char* type : {"application/octet-stream", "multipart/form-data; boundary=a"}) {
    EXPECT_FALSE(IsTextType(type)) << type;
  }
}

}  // namespace
}  // namespace linnet
