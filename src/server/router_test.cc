#include "server/router.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "server/json_fields.h"
#include "server/openai_errors.h"
#include "server/test_server.h"

namespace linnet {
namespace {

using test::Ask;

Router Echo() {
  Router router;
  router.Add("GET", "/a/{id}", [](const RouteCall& call) { call.reply->Send(200, call["id"]); });
  router.Add("DELETE", "/a/{id}",
             [](const RouteCall& call) { call.reply->Send(200, "gone " + call["id"]); });
  router.Add("GET", "/a/{id}/b/{x}", [](const RouteCall& call) {
    call.reply->Send(200, call["id"] + "," + call["x"] + "," + call["none"]);
  });
  router.Add("POST", "/throw", [](const RouteCall& call) -> void {
    const std::string& what = call.request.body;
    if (what == "request") throw RequestError(409, "twice", "x[1]", "conflict");
    if (what == "input") throw Error(ErrorKind::kBadInput, "bad");
    if (what == "busy") throw Error(ErrorKind::kBusy, "full");
    if (what == "memory") throw Error(ErrorKind::kNoMemory, "no room");
    if (what == "alloc") throw std::bad_alloc();
    if (what == "io") throw Error(ErrorKind::kIo, "secret/path: cannot be read");
    throw std::runtime_error("secret");
  });
  return router;
}

TEST(RouterTest, FindsRoutesByPathAndMethod) {
  const Router router = Echo();
  EXPECT_EQ(Ask(router, "GET", "/a/7")->body, "7");
  EXPECT_EQ(Ask(router, "GET", "/a/7/")->body, "7");
  EXPECT_EQ(Ask(router, "DELETE", "/a/7")->body, "gone 7");
  EXPECT_EQ(Ask(router, "GET", "/a/7/b/é")->body, "7,é,");
  for (const char* path : {"/", "/a", "/a/", "/a//b/x", "/a/7/b", "/b/7", "//a/7"}) {
    const auto reply = Ask(router, "GET", path);
    EXPECT_EQ(reply->status, 404) << path;
    EXPECT_EQ(Json::parse(reply->body)["error"]["type"], "not_found_error");
  }
  const auto wrong = Ask(router, "POST", "/a/7");
  EXPECT_EQ(wrong->status, 405);
  EXPECT_EQ(wrong->headers, (HttpHeaders{{"allow", "GET, DELETE"}}));
}

TEST(RouterTest, AWholePathGoesBeforeANamedPart) {
  Router router;
  router.Add("GET", "/a/{id}", [](const RouteCall& call) { call.reply->Send(200, call["id"]); });
  router.Add("POST", "/a/count", [](const RouteCall& call) { call.reply->Send(200, "count"); });
  EXPECT_EQ(Ask(router, "POST", "/a/count")->body, "count");
  EXPECT_EQ(Ask(router, "GET", "/a/count")->headers, (HttpHeaders{{"allow", "POST"}}));
  EXPECT_EQ(Ask(router, "GET", "/a/other")->body, "other");
}

TEST(RouterTest, AnswersWhatHandlersThrow) {
  const Router router = Echo();
  const struct {
    const char* what;
    int status;
    const char* message;
    bool later;
  } kCases[] = {{"request", 409, "twice", false},
                {"input", 400, "bad", false},
                {"busy", 429, "full", true},
                {"memory", 503, "no room", true},
                {"alloc", 503, "not enough memory", true},
                {"io", 500, "log", false},
                {"other", 500, "log", false}};
  for (const auto& c : kCases) {
    const auto reply = Ask(router, "POST", "/throw", c.what);
    EXPECT_EQ(reply->status, c.status) << c.what;
    EXPECT_NE(reply->body.find(c.message), std::string::npos) << reply->body;
    EXPECT_EQ(reply->body.find("secret"), std::string::npos) << reply->body;
    EXPECT_EQ(!reply->headers.empty(), c.later) << c.what;
  }
  EXPECT_EQ(Ask(router, "POST", "/throw", "request")->body,
            R"({"error":{"message":"twice","type":"invalid_request_error","param":"x[1]",)"
            R"("code":"conflict"}})");
}

std::string RefusalOf(const std::string& body, const JsonLimits& limits = {}) {
  try {
    ParseBody(body, limits);
  } catch (const RequestError& error) {
    return std::to_string(error.status()) + " " + error.code();
  }
  return "";
}

TEST(JsonFieldsTest, BodiesAreStrictJsonWithinLimits) {
  EXPECT_EQ(RefusalOf(R"({"a":"é\u00e9\n","b":[1,2.5,null]})"), "");
  for (const char* bad :
       {"", "[]", "1", "{", R"({"a":1}x)", R"({"a":"\ud800"})", R"({'a':1})", "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\x80\"}", R"({"a":1e999})", "{\"a\":NaN}", "{\"a\":\"line\n\"}"}) {
    EXPECT_EQ(RefusalOf(bad), "400 invalid_json") << bad;
  }
  const std::string deep(70, '[');
  EXPECT_EQ(RefusalOf("{\"a\":" + deep), "400 too_deep");
  EXPECT_EQ(RefusalOf(R"({"a":")" + deep + "\"}"), "");
  EXPECT_EQ(RefusalOf(R"({"a":[1,2,3,4]})", {.values = 4}), "413 too_large");
  EXPECT_EQ(RefusalOf(R"({"a":"long"})", {.bytes = 8}), "413 too_large");
}

TEST(JsonFieldsTest, FieldsAreReadByType) {
  const Json body = Json::parse(
      R"({"s":"x","n":null,"i":3,"f":2.0,"h":2.5,"big":18446744073709551615,"b":true,
          "l":["a","b"],"o":{"x":1}})");
  const Fields fields(body, "m[0]");
  EXPECT_EQ(fields.String("s"), "x");
  EXPECT_EQ(fields.String("n"), std::nullopt);
  EXPECT_EQ(fields.Integer("i", 0, 5), 3);
  EXPECT_EQ(fields.Integer("f", 0, 5), 2);
  EXPECT_EQ(fields.Number("h", 0, 5), 2.5);
  EXPECT_EQ(fields.Strings("l", 2), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fields.Strings("s", 2), (std::vector<std::string>{"x"}));
  const auto refused = [](const auto& read) -> std::string {
    try {
      read();
    } catch (const RequestError& error) {
      return error.param() + ": " + error.what();
    }
    return "";
  };
  EXPECT_EQ(refused([&] { fields.String("i"); }), "m[0].i: m[0].i is 3, expected a string");
  EXPECT_EQ(refused([&] { fields.RequiredString("none"); }),
            "m[0].none: m[0].none is missing, expected a string");
  EXPECT_EQ(refused([&] { fields.Integer("h", 0, 5); }),
            "m[0].h: m[0].h is 2.5, expected an integer from 0 to 5");
  EXPECT_EQ(refused([&] { fields.Integer("big", 0, INT64_MAX); }).substr(0, 8), "m[0].big");
  EXPECT_EQ(refused([&] { fields.Number("h", 0, 2); }),
            "m[0].h: m[0].h is 2.5, expected a number from 0 to 2");
  EXPECT_EQ(refused([&] { fields.Bool("s"); }),
            "m[0].s: m[0].s is of type string, expected true or false");
  EXPECT_EQ(refused([&] { fields.Strings("l", 1); }),
            "m[0].l: m[0].l has 2 entries, expected at most 1");
  EXPECT_EQ(refused([&] { fields.Strings("o", 1); }),
            "m[0].o: m[0].o is of type object, expected a string or a list of strings");
  EXPECT_EQ(refused([&] { fields.Word("s", {"y", "z"}); }), "m[0].s: m[0].s is 'x', expected y, z");
  EXPECT_EQ(refused([&] { fields.Object("s"); }), "m[0].s: m[0].s is string, expected an object");
}

}  // namespace
}  // namespace linnet
