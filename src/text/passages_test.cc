// Passages hold all of a text that is no blank, in order and within their size.
#include "text/passages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/is_utf8.h"

namespace linnet {
namespace {

std::vector<std::string> Texts(std::string_view text, size_t most) {
  std::vector<std::string> out;
  for (const Passage& p : SplitPassages(text, most)) {
    out.emplace_back(text.substr(p.begin, p.bytes));
  }
  return out;
}

std::string WithoutBlanks(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') out += c;
  }
  return out;
}

using List = std::vector<std::string>;

TEST(PassagesTest, ParagraphsAreJoinedWhileTheyFit) {
  EXPECT_EQ(Texts("one\n\ntwo\n\n\nthree and\nmore\n", 10),
            (List{"one\n\ntwo", "three and", "more"}));
  EXPECT_EQ(Texts("one\n\ntwo\n", 100), (List{"one\n\ntwo"}));
  EXPECT_EQ(Texts("one\r\n\r\n  two  ", 6), (List{"one", "two"}));
  EXPECT_EQ(Texts("", 10), List{});
  EXPECT_EQ(Texts(" \n\t\n", 10), List{});
}

TEST(PassagesTest, ALongParagraphIsCutBehindASentenceALineAWordOrACharacter) {
  EXPECT_EQ(Texts("A cat sat. It slept all day.", 18), (List{"A cat sat.", "It slept all day."}));
  EXPECT_EQ(Texts("\"Come here!\" said he, and went", 20),
            (List{"\"Come here!\"", "said he, and went"}));
  EXPECT_EQ(Texts("a b c d\ne f g h i j", 12), (List{"a b c d", "e f g h i j"}));
  EXPECT_EQ(Texts("aaaa bbbb cccc", 10), (List{"aaaa bbbb", "cccc"}));
  EXPECT_EQ(Texts("aaaaaaaaaa", 4), (List{"aaaa", "aaaa", "aa"}));
  EXPECT_EQ(Texts("猫在睡觉。狗在叫。", 20), (List{"猫在睡觉。", "狗在叫。"}));
  EXPECT_EQ(Texts("猫猫猫猫", 7), (List{"猫猫", "猫猫"}));
}

TEST(PassagesTest, AHeadingStaysWithWhatFollows) {
  EXPECT_EQ(Texts("intro\n\n# One\n\n## Two\n\ntext", 40),
            (List{"intro", "# One\n\n## Two\n\ntext"}));
  EXPECT_EQ(Texts("# One\n\naaaa bbbb cccc", 12), (List{"# One\n\naaaa", "bbbb cccc"}));
}

TEST(PassagesTest, LinesAreCountedFromOne) {
  const auto passages = SplitPassages("\none\n\ntwo\nthree\n\n\nfour", 9);
  std::vector<size_t> lines;
  for (const Passage& p : passages) lines.push_back(p.line);
  EXPECT_EQ(lines, (std::vector<size_t>{2, 4, 8}));
}

TEST(PassagesTest, NothingButBlanksIsLost) {
  std::mt19937 random(7);
  const List pieces = {"a",  "word", " ",  "\n",   "\n\n", ".",  "! ",
                       "# ", "猫",   "。", "\xff", "\t",   "\"", ")"};
  for (size_t most : {4u, 7u, 30u, 200u}) {
    for (int round = 0; round < 300; ++round) {
      std::string text;
      for (size_t i = random() % 120; i > 0; --i) text += pieces[random() % pieces.size()];
      size_t end = 0;
      std::string all;
      for (const Passage& p : SplitPassages(text, most)) {
        ASSERT_GE(p.begin, end);
        ASSERT_LE(p.bytes, most);
        ASSERT_GT(p.bytes, 0u);
        const auto part = std::string_view(text).substr(p.begin, p.bytes);
        EXPECT_EQ(p.line, 1 + std::count(text.begin(),
                                         text.begin() + static_cast<ptrdiff_t>(p.begin), '\n'));
        if (IsUtf8(text)) {
          EXPECT_TRUE(IsUtf8(part)) << part;
        }
        end = p.begin + p.bytes;
        all += part;
      }
      ASSERT_EQ(WithoutBlanks(all), WithoutBlanks(text)) << text;
    }
  }
}

}  // namespace
}  // namespace linnet
