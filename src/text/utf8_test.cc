#include "text/utf8.h"

#include <gtest/gtest.h>

#include <random>

#include "linnet/tokenizer.h"

namespace linnet {
namespace {

TEST(Utf8Test, EveryCharacterSurvives) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string bytes;
    AppendUtf8(c, bytes);
    const Utf8Step step = NextUtf8(bytes + "x");
    ASSERT_TRUE(step.valid && step.c == c && step.bytes == bytes.size()) << static_cast<int>(c);
    ASSERT_EQ(LastUtf8("x" + bytes), c);
    ASSERT_EQ(ValidUtf8(bytes), bytes);
  }
}

// The examples of the Unicode Standard 15, section 3.9, tables 3-8 to 3-11.
TEST(Utf8Test, BytesThatAreNoTextBecomeOneMarkForEachMaximalSubpart) {
  const std::string r = "\uFFFD";
  const auto times = [&](int n) {
    std::string out;
    while (n-- > 0) out += r;
    return out;
  };
  EXPECT_EQ(ValidUtf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), times(8) + "A");
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), times(8) + "A");
  EXPECT_EQ(ValidUtf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), times(5) + "A" + times(2) + "B");
  EXPECT_EQ(ValidUtf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), times(4) + "A");
  EXPECT_EQ(ValidUtf8("a\xE2\x82"), "a" + r);
}

TEST(Utf8StreamTest, HoweverTheBytesAreCutTheTextIsTheSame) {
  std::mt19937 random(1);
  const std::string pool = "ab\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xED\xF4\x80\xBF\xFF";
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (size_t n = random() % 12; n > 0; --n) {
      bytes += pool.substr(random() % pool.size(), 1 + random() % 4);
    }
    Utf8Stream stream;
    std::string out;
    for (size_t at = 0; at < bytes.size();) {
      const size_t part = 1 + random() % 3;
      out += stream.Push(bytes.substr(at, part));
      at += part;
      ASSERT_EQ(ValidUtf8(out), out) << "never half a character";
    }
    out += stream.Finish();
    ASSERT_EQ(out, ValidUtf8(bytes));
  }
}

TEST(Utf8StreamTest, HoldsAnUnfinishedCharacterAndNoMore) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.Push("\x80!"), "\U0001F600!");
  EXPECT_EQ(stream.Push("\xF0\x9F"), "");
  EXPECT_EQ(stream.Push("a"), "\uFFFDa");
  EXPECT_EQ(stream.Push("\xE2"), "");
  EXPECT_EQ(stream.Finish(), "\uFFFD");
  EXPECT_EQ(stream.Finish(), "");
}

}  // namespace
}  // namespace linnet
