#include "http/api_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>

#include "base/scratch_folder.h"
#include "http/rate_limits.h"
#include "linnet/error.h"

namespace linnet {
namespace {

std::string FailureOf(const std::string& text) {
  try {
    ApiKeys().Parse(text, "keys", false);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(ApiKeysTest, LinesNameHashesAndLimits) {
  ApiKeys keys;
  keys.Parse("linnet-keys 1\n# a comment\n\n" + ApiKeyLine("anna", "secret-a") + "\n" +
                 ApiKeyLine("bob", "secret-b") +
                 "\trequests_per_minute=60 tokens_per_minute=100000 concurrent=2\r\n",
             "keys", false);
  keys.Parse(ApiKeyLine("root", "secret-r"), "admins", true);
  ASSERT_EQ(keys.size(), 3u);
  const ApiKey* const anna = keys.Find("secret-a");
  ASSERT_NE(anna, nullptr);
  EXPECT_EQ(anna->name, "anna");
  EXPECT_FALSE(anna->admin || anna->requests_per_minute || anna->concurrent);
  const ApiKey* const bob = keys.Find("secret-b");
  ASSERT_NE(bob, nullptr);
  EXPECT_EQ(bob->requests_per_minute, 60u);
  EXPECT_EQ(bob->tokens_per_minute, 100'000u);
  EXPECT_EQ(bob->concurrent, 2u);
  EXPECT_TRUE(keys.Find("secret-r")->admin);
  for (const char* other : {"", "secret", "secret-a ", "anna"}) {
    EXPECT_EQ(keys.Find(other), nullptr) << other;
  }
}

TEST(ApiKeysTest, PlainKeyIsToldItsLineAndNotRepeated) {
  for (const char* line : {"sk-my-secret", "anna sk-my-secret", "anna sk-my-secret concurrent=1"}) {
    const std::string failure = FailureOf(std::string("# keys\n") + line);
    EXPECT_TRUE(failure.starts_with("keys:2: ")) << failure;
    EXPECT_EQ(failure.find("sk-my-secret"), std::string::npos);
    EXPECT_NE(failure.find(ApiKeyLine("", "sk-my-secret").substr(1)), std::string::npos) << failure;
  }
  EXPECT_NE(FailureOf("anna sk-my-secret").find("\"anna sha256:"), std::string::npos);
}

TEST(ApiKeysTest, BadFilesAreRefusedWithTheLine) {
  const std::string good = ApiKeyLine("anna", "a");
  for (const std::string& bad :
       {std::string("anna sha256:12"), good + " concurrent=0", good + " concurrent=-1",
        good + " concurrent=", good + " concurrent", good + " concurrent=1x",
        good + " concurrent=99999999999999999999", good + " concurrent=1 concurrent=1",
        good + " colour=1", std::string("linnet-keys 2"), std::string("linnet-keys"),
        "a/b " + good.substr(5), std::string(65, 'a') + good.substr(4)}) {
    EXPECT_TRUE(FailureOf(bad).starts_with("keys:1: ")) << bad << FailureOf(bad);
  }
  EXPECT_TRUE(FailureOf(good + "\n" + ApiKeyLine("anna", "b")).starts_with("keys:2: "));
  EXPECT_TRUE(FailureOf(good + "\n" + ApiKeyLine("bob", "a")).starts_with("keys:2: "));
  EXPECT_NE(FailureOf("# nobody\n").find("no key"), std::string::npos);
}

// docs/serving.md shows a key file.
TEST(ApiKeysTest, ExampleOfTheDocumentationIsAKeyFile) {
  std::ifstream page("docs/serving.md");
  const std::string text{std::istreambuf_iterator<char>(page), {}};
  const size_t begin = text.find("linnet-keys 1");
  ASSERT_NE(begin, std::string::npos);
  ApiKeys keys;
  keys.Parse(text.substr(begin, text.find("```", begin) - begin), "docs/serving.md", false);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys.Find("a")->name, "anna");
}

TEST(ApiKeysTest, FilesThatEverybodyMayWriteAreRefused) {
  const test::TemporaryFolder folder;
  const auto file = folder.Write("keys", ApiKeyLine("anna", "a"));
  chmod(file.c_str(), 0644);
  ApiKeys keys;
  keys.Read(file, false);
  EXPECT_EQ(keys.size(), 1u);
  chmod(file.c_str(), 0646);
  EXPECT_THROW(ApiKeys().Read(file, false), Error);
  EXPECT_THROW(ApiKeys().Read(folder / "missing", false), Error);
  EXPECT_THROW(ApiKeys().Read(folder.path(), false), Error);
  EXPECT_THROW(ApiKeys().Read(folder.Write("large", std::string(5 << 20, '#')), false), Error);
}

class RateLimitsTest : public ::testing::Test {
 protected:
  ApiKey Key() {
    ApiKey key;
    key.name = "anna";
    return key;
  }
  void Pass(int seconds) { now_ += std::chrono::seconds(seconds); }
  int Retry(const ApiKey& key) {
    const auto refused = limits_.Begin(key);
    return refused ? static_cast<int>(refused->retry_after.count()) : 0;
  }

  std::chrono::steady_clock::time_point now_{};
  RateLimits limits_{[this] { return now_; }};
};

TEST_F(RateLimitsTest, RequestsFillUpEvenly) {
  ApiKey key = Key();
  key.requests_per_minute = 6;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Retry(key), 0);
  EXPECT_EQ(Retry(key), 10);
  Pass(9);
  EXPECT_EQ(Retry(key), 1);
  Pass(1);
  EXPECT_EQ(Retry(key), 0);
  EXPECT_EQ(Retry(key), 10);
  Pass(100'000);  // never more than a minute's worth
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Retry(key), 0);
  EXPECT_EQ(Retry(key), 10);
}

TEST_F(RateLimitsTest, TokensMayBeOverdrawnAndAreWaitedFor) {
  ApiKey key = Key();
  key.tokens_per_minute = 600;
  EXPECT_EQ(Retry(key), 0);
  limits_.CountTokens(key, 599);
  EXPECT_EQ(Retry(key), 0);
  limits_.CountTokens(key, 101);  // now -100
  EXPECT_EQ(Retry(key), 11);
  Pass(10);
  EXPECT_EQ(Retry(key), 1);
  Pass(1);
  EXPECT_EQ(Retry(key), 0);
}

TEST_F(RateLimitsTest, ConcurrentRequestsEnd) {
  ApiKey key = Key(), other = Key();
  other.name = "bob";
  key.concurrent = other.concurrent = 2;
  EXPECT_EQ(Retry(key), 0);
  EXPECT_EQ(Retry(key), 0);
  EXPECT_EQ(Retry(key), 1);
  EXPECT_EQ(Retry(other), 0);  // keys do not share
  limits_.End(key);
  EXPECT_EQ(Retry(key), 0);
  EXPECT_EQ(Retry(key), 1);
}

}  // namespace
}  // namespace linnet
