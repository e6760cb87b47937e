#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace linnet {
namespace {

// FIPS 180-4's examples.
TEST(Sha256Test, GivesThePublishedDigests) {
  EXPECT_EQ(Hex(Sha256Of("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Sha256Of("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, DividesAndStartsAnew) {
  Sha256 hash;
  for (int round = 0; round < 2; ++round) {
    hash.Add("a");
    hash.Add("bc");
    EXPECT_EQ(hash.Finish(), Sha256Of("abc"));
  }
  EXPECT_EQ(hash.Finish(), Sha256Of(""));
}

TEST(Sha256Test, HexIsReadBack) {
  const Digest digest = Sha256Of("abc");
  EXPECT_EQ(ParseDigest(Hex(digest)), digest);
  EXPECT_FALSE(ParseDigest(Hex(digest) + "0"));
  EXPECT_FALSE(ParseDigest(""));
  EXPECT_FALSE(ParseDigest(std::string(64, 'G')));
}

TEST(Sha256Test, HmacIsThatOfTheRfc) {  // RFC 4231, cases 1, 2 and 6
  const auto hmac = [](const std::string& key, const std::string& text) {
    return Hex(HmacSha256(std::as_bytes(std::span(key)), std::as_bytes(std::span(text))));
  };
  EXPECT_EQ(hmac(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(
      hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace linnet
