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

}  // namespace
}  // namespace linnet
