#include "text/pretokenize.h"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <string>
#include <vector>

#include "text/unicode.h"

namespace linnet {
namespace {

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t size = FirstWord(text);
    EXPECT_GT(size, 0u);
    if (size == 0) break;
    words.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return words;
}

TEST(FirstWordTest, AgreesWithTheExpressionOnAscii) {
  // \p{L}, \p{N} and \s of ASCII, for a regex engine without Unicode.
  const std::regex expression(
      "'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\\sA-Za-z0-9]+|\\s+(?!\\S)|\\s+");
  std::mt19937 random(2);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (size_t n = random() % 14; n > 0; --n) text += "  \n\t'''srevmdltA09.-"[random() % 19];
    std::vector<std::string> expected;
    for (std::sregex_iterator i(text.begin(), text.end(), expression), end; i != end; ++i) {
      expected.push_back(i->str());
    }
    ASSERT_EQ(Words(text), expected) << text;
  }
}

TEST(FirstWordTest, KnowsLettersNumbersAndBlanksOfAllScripts) {
  using Expected = std::vector<std::string>;
  EXPECT_EQ(Words("日本 語Ⅷ²x"), (Expected{"日本", " 語", "Ⅷ²", "x"}));
  EXPECT_EQ(Words("a\u00A0\u3000b\u0085"), (Expected{"a", "\u00A0", "\u3000", "b", "\u0085"}));
  EXPECT_EQ(Words("e\u0301\u200Bz"), (Expected{"e", "\u0301\u200B", "z"}));
  EXPECT_EQ(Words("\U0002EBF0's"), (Expected{"\U0002EBF0", "'s"})) << "of Unicode 15.1";
}

TEST(ToNfc9Test, ComposesOrdersAndLeavesNewerCharacters) {
  EXPECT_EQ(ToNfc9("plain"), "plain");
  EXPECT_EQ(ToNfc9("e\u0301"), "\u00E9");
  EXPECT_EQ(ToNfc9("\u212B\uF900\u1112\u1161\u11AB"), "\u00C5\u8C48\uD55C");
  EXPECT_EQ(ToNfc9("a\u0301\u0323"), "\u1EA1\u0301");
  EXPECT_EQ(ToNfc9("\u0958"), "\u0915\u093C") << "a composition that is excluded";
  EXPECT_EQ(ToNfc9("b\u0301\u1ABF"), "b\u0301\u1ABF") << "a mark of Unicode 13 stays behind";
  EXPECT_EQ(ToNfc9(""), "");
}

}  // namespace
}  // namespace linnet
