#include "server/error_forms.h"

#include <gtest/gtest.h>

namespace linnet {
namespace {

TEST(ErrorFormTest, IsThatOfThePath) {
  for (const char* path : {"/v1/messages", "/v1/messages/", "/v1/messages/count_tokens"}) {
    EXPECT_EQ(ErrorFormOf(path), ErrorForm::kAnthropic) << path;
  }
  for (const char* path : {"/api/chat", "/api/chat/", "/api/blobs/sha256:0", "/api/tags"}) {
    EXPECT_EQ(ErrorFormOf(path), ErrorForm::kOllama) << path;
  }
  for (const char* path : {"/v1/chat/completions", "/", "", "/api", "/api/", "/api/models/info",
                           "/v1/messagesx", "/x/api/chat"}) {
    EXPECT_EQ(ErrorFormOf(path), ErrorForm::kOpenAi) << path;
  }
}

TEST(ErrorFormTest, RefusalsOfTheTransportHaveIt) {
  const auto text = [](std::string_view target) {
    return RefusalText({.status = 401,
                        .target = target,
                        .message = "no key",
                        .type = "invalid_request_error",
                        .code = "invalid_api_key",
                        .request_id = "r1"});
  };
  EXPECT_EQ(text("/v1/messages?beta=true"),
            R"({"type":"error","error":{"type":"authentication_error","message":"no key"},)"
            R"("request_id":"r1"})");
  EXPECT_EQ(text("/api/chat"), R"({"error":"no key"})");
  EXPECT_EQ(text(""), HttpErrorBody("no key", "invalid_request_error", "invalid_api_key"));
}

}  // namespace
}  // namespace linnet
