#include "server/page.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "http/recorded_reply.h"
#include "server/page_files.h"
#include "text/gunzip.h"

namespace linnet {
namespace {

class PageTest : public testing::Test {
 protected:
  PageTest() { AddPageRoutes(router_, "something is running"); }

  std::shared_ptr<test::RecordedReply> Get(const std::string& path, HttpHeaders headers) {
    auto reply = std::make_shared<test::RecordedReply>();
    HttpRequest request;
    request.method = "GET";
    request.path = path;
    request.headers = std::move(headers);
    router_.Handle(std::move(request), reply);
    return reply;
  }
  static std::string HeaderOf(const test::RecordedReply& reply, const std::string& name) {
    for (const auto& [key, value] : reply.headers) {
      if (key == name) return value;
    }
    return "";
  }

  Router router_;
};

const HttpHeaders kBrowser = {{"accept", "text/html,application/xhtml+xml,*/*;q=0.8"},
                              {"accept-encoding", "gzip, deflate, br"}};

TEST_F(PageTest, BrowsersGetThePageAndOthersTheGreeting) {
  for (const HttpHeaders& headers : {HttpHeaders{}, HttpHeaders{{"accept", "*/*"}},
                                     HttpHeaders{{"accept", "application/json"}}}) {
    const auto reply = Get("/", headers);
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->body, "something is running");
    EXPECT_EQ(HeaderOf(*reply, "vary"), "accept");
  }
  if (PageFiles().empty()) GTEST_SKIP() << "web/dist is empty: the page is not built in";
  const auto reply = Get("/", kBrowser);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(HeaderOf(*reply, "content-encoding"), "gzip");
  EXPECT_EQ(HeaderOf(*reply, "cache-control"), "no-cache");
  EXPECT_EQ(HeaderOf(*reply, "vary"), "accept, accept-encoding");
}

TEST_F(PageTest, ContentIsTheSameWithAndWithoutCompression) {
  if (PageFiles().empty()) GTEST_SKIP() << "web/dist is empty: the page is not built in";
  for (const std::string& path : PagePaths()) {
    const auto packed = Get(path, kBrowser), plain = Get(path, {{"accept", "text/html"}});
    ASSERT_EQ(packed->status, 200) << path;
    EXPECT_EQ(HeaderOf(*plain, "content-encoding"), "");
    EXPECT_EQ(HeaderOf(*plain, "etag"), HeaderOf(*packed, "etag"));
    const auto* bytes = reinterpret_cast<const uint8_t*>(packed->body.data());
    EXPECT_EQ(Gunzip({bytes, packed->body.size()}), plain->body) << path;
  }
}

TEST_F(PageTest, WhatTheBrowserHasIsNotSentAgain) {
  if (PageFiles().empty()) GTEST_SKIP() << "web/dist is empty: the page is not built in";
  for (const std::string& path : PagePaths()) {
    HttpHeaders headers = kBrowser;
    const std::string tag = HeaderOf(*Get(path, headers), "etag");
    ASSERT_FALSE(tag.empty());
    headers.emplace_back("if-none-match", "\"other\", " + tag);
    const auto reply = Get(path, headers);
    EXPECT_EQ(reply->status, 304) << path;
    EXPECT_EQ(reply->body, "");
    headers.back().second = "\"other\"";
    EXPECT_EQ(Get(path, headers)->status, 200) << path;
    const bool asset = path.starts_with("/assets/");
    EXPECT_EQ(HeaderOf(*reply, "cache-control").find("immutable") != std::string::npos, asset);
  }
}

TEST_F(PageTest, PolicyAllowsNothingInlineAndNoOtherHost) {
  if (PageFiles().empty()) GTEST_SKIP() << "web/dist is empty: the page is not built in";
  size_t bytes = 0;
  for (const PageFile& file : PageFiles()) bytes += file.gzip.size();
  EXPECT_LT(bytes, 300'000u);
  const auto reply = Get("/", {{"accept", "text/html"}});
  const std::string policy = HeaderOf(*reply, "content-security-policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  for (const char* weak : {"unsafe", "http", "*", "data: 'self'"}) {
    EXPECT_EQ(policy.find(weak), std::string::npos) << policy;
  }
  // The page keeps to it: no script or style in it, no address of another host.
  for (const char* inlined :
       {"<style", "style=", "onload=", "<script>", "src=\"http", "href=\"http"}) {
    EXPECT_EQ(reply->body.find(inlined), std::string::npos) << inlined;
  }
}

TEST(AcceptsGzipTest, IsNamedAndNotRefused) {
  for (const char* yes :
       {"gzip", "GZIP", "br, gzip;q=0.5", "*", "deflate , x-gzip", "*;q=0, gzip", "gzip;q=0.001"}) {
    EXPECT_TRUE(AcceptsGzip(yes)) << yes;
  }
  for (const char* no :
       {"", "br", "gzip;q=0", "gzip; q=0.0, br", "*;q=0", "*, gzip;q=0", "gzipped"}) {
    EXPECT_FALSE(AcceptsGzip(no)) << no;
  }
}

}  // namespace
}  // namespace linnet
