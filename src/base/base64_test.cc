#include "base/base64.h"

#include <gtest/gtest.h>

#include <random>

namespace linnet {
namespace {

std::span<const std::byte> BytesIn(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Base64, IsThatOfTheRfc) {
  const std::pair<const char*, const char*> known[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, base64] : known) {
    EXPECT_EQ(Base64(BytesIn(text)), base64);
    const auto back = ParseBase64(base64);
    ASSERT_TRUE(back) << base64;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(back->data()), back->size()), text);
  }
}

TEST(Base64, BytesComeBack) {
  std::mt19937 random(1);
  for (size_t size = 0; size < 100; ++size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    EXPECT_EQ(ParseBase64(Base64(bytes)), bytes);
  }
}

TEST(Base64, AnythingElseIsRefused) {
  for (const char* bad : {"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm 9", " Zm9", "Zm9\n",
                          "Zm9v\n", "Zm-_", "Z=9v"}) {
    EXPECT_FALSE(ParseBase64(bad)) << bad;
  }
}

}  // namespace
}  // namespace linnet
