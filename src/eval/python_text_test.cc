#include "eval/python_text.h"

#include <gtest/gtest.h>

#include "eval/python_random.h"
#include "eval/python_regex.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Words = std::vector<std::string>;

TEST(PythonTextTest, StripsUnicodeBlanksAndKeepsOtherBytes) {
  EXPECT_EQ(Strip(" \t\n\x1c\u00a0\u3000a b\u2003\x85 "),
            "a b\u2003\x85");                    // \x85 alone is not UTF-8
  EXPECT_EQ(Strip("\u0085x\u200b"), "x\u200b");  // a zero-width space is no blank
  EXPECT_EQ(StripLeft("xxyx", "xy"), "");
  EXPECT_EQ(StripRight("  a\xff "), "  a\xff");
  EXPECT_EQ(StripRight("日本。", "。"), "日本");
}

TEST(PythonTextTest, CasesAsPython) {
  EXPECT_EQ(PythonLower("ΌΔΟΣ ΣΑΣ. İI"), "όδος σας. i̇i");
  EXPECT_EQ(PythonCapitalize("hELLO World"), "Hello world");
  EXPECT_EQ(PythonCapitalize("çok İYİ"), "Çok i̇yi̇");
  EXPECT_EQ(PythonUpper("straße"), "STRASSE");
  EXPECT_EQ(PythonCapitalize("ßX"), "Ssx");
}

TEST(PythonTextTest, SplitsAndReplaces) {
  EXPECT_EQ(SplitAtBlanks("  a\u3000b \n"), (Words{"a", "b"}));
  EXPECT_EQ(SplitAt("a  b", " "), (Words{"a", "", "b"}));
  EXPECT_EQ(SplitAt("a,b,c", ",", 1), (Words{"a", "b,c"}));
  EXPECT_EQ(ReplaceAll("aaa", "aa", "b"), "ba");
  EXPECT_EQ(ReplaceAll("ab", "", "-"), "-a-b-");
  EXPECT_EQ(CountCharacters("zwei ß 日本"), 9u);
}

TEST(PythonTextTest, SlicesAsPython) {
  const TaskJson none;
  EXPECT_EQ(SliceOf(5, 1, none, none), (std::vector<size_t>{1, 2, 3, 4}));
  EXPECT_EQ(SliceOf(5, none, -1, 2), (std::vector<size_t>{0, 2}));
  EXPECT_EQ(SliceOf(5, none, none, -2), (std::vector<size_t>{4, 2, 0}));
  EXPECT_EQ(SliceOf(3, -100, 100, none), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(SliceOf(3, INT64_MIN, INT64_MAX, INT64_MAX), (std::vector<size_t>{0}));
  EXPECT_EQ(SliceOf(3, 5, 1, none), std::vector<size_t>());
  EXPECT_THROW(SliceOf(3, none, none, 0), Error);
}

// Numbers of CPython 3.11: random.Random(1234) and others.
TEST(PythonRandomTest, GivesPythonsNumbers) {
  PythonRandom random(1234);
  EXPECT_EQ(random.Uniform(), 0.9664535356921388);
  EXPECT_EQ(random.Uniform(), 0.4407325991753527);
  EXPECT_EQ(random.Uniform(), 0.007491470058587191);
  EXPECT_EQ(random.Sample(100, 5), (std::vector<size_t>{74, 4, 85, 88, 10}));
  EXPECT_EQ(random.Sample(10, 3), (std::vector<size_t>{1, 5, 3}));
  EXPECT_EQ(random.Sample(500, 20),
            (std::vector<size_t>{8,  15, 403, 177, 331, 319, 247, 315, 237, 76,
                                 46, 93, 365, 58,  432, 7,   257, 249, 450, 494}));
  PythonRandom zero(0);
  EXPECT_EQ(zero.Sample(size_t{1} << 20, 3), (std::vector<size_t>{807917, 882002, 84901}));
  for (const size_t expected : {1, 3, 2, 5, 2}) EXPECT_EQ(zero.Choose(7), expected);
}

TEST(PythonRegexTest, FindsAndReplacesAsPython) {
  EXPECT_EQ(PythonRegex("\\[.*?\\]").Replace("a [b] c [d]]", ""), "a  c ]");
  EXPECT_EQ(PythonRegex("(\\w+) (\\w+)").Replace("ä b c d", "\\2-\\g<1>"), "b-ä d-c");
  EXPECT_EQ(PythonRegex("x*").Replace("abxd", "-"), "-a-b--d-");
  EXPECT_EQ(PythonRegex("(\\d)(\\w)?").FindAll("1a 2"),
            (std::vector<Words>{{"1", "a"}, {"2", ""}}));
  EXPECT_EQ(PythonRegex("日.").FindAll("日本日"), (std::vector<Words>{{"日本"}}));
  EXPECT_THROW(PythonRegex("(a"), Error);
  EXPECT_THROW(PythonRegex("a").Replace("a", "\\3"), Error);
  // Exponential backtracking ends with an error.
  EXPECT_THROW(PythonRegex("(a+)+$").FindAll(std::string(40, 'a') + "b"), Error);
}

}  // namespace
}  // namespace linnet
