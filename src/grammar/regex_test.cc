#include <gtest/gtest.h>

#include <string>

#include "grammar/grammar.h"
#include "grammar/test_constraints.h"
#include "linnet/error.h"

namespace linnet {
namespace {

struct RegexCase {
  const char* regex;
  std::vector<std::string> matched, others;
};

TEST(RegexTest, WholeTextsMatch) {
  const std::vector<RegexCase> cases = {
      {"abc", {"abc"}, {"ab", "abcd", "xabc"}},
      {"^abc$", {"abc"}, {"xabc"}},
      {"a|bc|", {"a", "bc", ""}, {"ab", "c"}},
      {"(a|b)*c", {"c", "abbac"}, {"ab"}},
      {"(?:ab)+?", {"ab", "abab"}, {"", "aba"}},
      {"(?<year>\\d{4})-(?P<month>\\d\\d)", {"2024-12"}, {"2024-1", "٢٠٢٤-12"}},
      {"a{2,3}b{2}c{1,}", {"aabbc", "aaabbcc"}, {"abbc", "aaaabbc", "aabbbc"}},
      {"a{0}b", {"b"}, {"ab"}},
      {"[a-c.]+", {"a.c"}, {"d"}},
      {"[^a-c]", {"d", "é", "\n"}, {"a", ""}},
      {"[\\d\\-_]+", {"1-_2"}, {"a"}},
      {"[a-]", {"-", "a"}, {"b"}},
      {".", {"x", "é"}, {"\n", "\r", "\xE2\x80\xA8"}},
      {"\\w\\W", {"a-"}, {"aé", "éa", "a1"}},
      {"\\s\\S", {" x", "\tx"}, {"xx", " \xC2\xA0"}},
      {"\\D", {"x"}, {"1", "٢"}},
      {"\\t\\n\\r\\f\\v\\0", {std::string("\t\n\r\f\v\0", 6)}, {}},
      {"\\x41\\u00e9\\u{1F600}\\x{4F60}\\ud83d\\ude00", {"Aé😀你😀"}, {}},
      {"\\p{Lu}\\p{L}+\\P{L}", {"Éa1"}, {"éa1"}},
      {"\\.\\*\\\\\\/\\-", {".*\\/-"}, {}},
      {"a{b}", {"a{b}"}, {}},
      {"x{1,2", {"x{1,2"}, {}},
  };
  for (const RegexCase& test : cases) {
    if (test.matched.empty()) continue;
    const auto grammar = Grammar::FromRegex(test.regex);
    for (const std::string& text : test.matched)
      EXPECT_TRUE(Matches(grammar, text)) << test.regex << ": " << text;
    for (const std::string& text : test.others)
      EXPECT_FALSE(Matches(grammar, text)) << test.regex << ": " << text;
  }
}

std::string RegexError(const std::string& regex) {
  try {
    Grammar::FromRegex(regex);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(RegexTest, WhatIsNotSupportedIsNamed) {
  EXPECT_EQ(RegexError("a(?=b)"), "regex:1:2: lookahead is not supported");
  EXPECT_EQ(RegexError("(?<!b)a"), "regex:1:1: lookbehind is not supported");
  EXPECT_EQ(RegexError("(a)\\1"), "regex:1:4: backreferences and octal codes are not supported");
  EXPECT_EQ(RegexError("\\bword"), "regex:1:1: word boundaries are not supported");
  EXPECT_EQ(RegexError("(?i)a"),
            "regex:1:1: flags, conditions and atomic groups are not supported");
  EXPECT_EQ(RegexError("a++"), "regex:1:3: possessive repetitions are not supported");
  EXPECT_EQ(RegexError("a**"), "regex:1:3: a repetition is repeated; write a group");
  EXPECT_EQ(RegexError("*a"), "regex:1:1: found '*', expected something to repeat before it");
  EXPECT_EQ(RegexError("a^b"), "regex:1:2: ^ is supported only at the begin");
  EXPECT_EQ(RegexError("(a$)b"), "regex:1:3: $ is supported only at the end");
  EXPECT_EQ(RegexError("(^a)*"), "regex:1:5: ^ and $ are not supported in a repetition");
  EXPECT_EQ(RegexError("(a"), "regex:1:1: the group is not closed, expected )");
  EXPECT_EQ(RegexError("a)"), "regex:1:2: found ')' without '('");
  EXPECT_EQ(RegexError("[a"), "regex:1:1: the class is not closed, expected ]");
  EXPECT_EQ(RegexError("[]a]"),
            "regex:1:1: a class that begins with ] differs between dialects; write \\]");
  EXPECT_EQ(RegexError("[[:alpha:]]"), "regex:1:2: [:names:] of classes are not supported");
  EXPECT_EQ(RegexError("a{3,2}"), "regex:1:2: 3 is more than 2");
  EXPECT_EQ(RegexError("a{,2}"), "regex:1:2: {,n} differs between dialects; write {0,n}");
  EXPECT_EQ(
      RegexError("\\p{Greek}"),
      "regex:1:1: \\p{Greek} is not supported, expected a general category such as L, Lu or Nd");
  EXPECT_EQ(RegexError("\\ud800"), "regex:1:1: a surrogate is not a character");
  EXPECT_EQ(RegexError("a\\"), "regex:1:2: a backslash ends the regex");
  EXPECT_EQ(RegexError("\\q"), "regex:1:1: \\q is not supported");
  EXPECT_EQ(RegexError("[b-a]"), "regex:1:3: the range ends before it begins");
  EXPECT_NE(RegexError(std::string(1000, '(') + std::string(1000, ')')).find("nested too deeply"),
            std::string::npos);
  EXPECT_NE(RegexError("(((a{1000}){1000}b){1000}){1000}").size(), 1u);  // blocks: no error needed
}

// A pattern of a schema matches somewhere in a string, but for its anchors.
TEST(RegexTest, PatternsMatchAnywhere) {
  const auto matches = [](const std::string& pattern, const std::string& json) {
    return Matches(
        Grammar::FromJsonSchema("{\"type\":\"string\",\"pattern\":\"" + pattern + "\"}", "s"),
        json);
  };
  EXPECT_TRUE(matches("b", R"("abc")"));
  EXPECT_FALSE(matches("^b", R"("abc")"));
  EXPECT_TRUE(matches("^a", R"("abc")"));
  EXPECT_FALSE(matches("b$", R"("abc")"));
  EXPECT_TRUE(matches("^b|c$", R"("abc")"));
  EXPECT_FALSE(matches("^(b|c)$", R"("abc")"));
  EXPECT_TRUE(matches("^(?:a|^b)", R"("b\n")"));
  EXPECT_TRUE(matches("^", R"("abc")"));
  EXPECT_TRUE(matches("$", R"("abc")"));
  EXPECT_TRUE(matches("^$", R"("")"));
  EXPECT_FALSE(matches("^$", R"("a")"));
  EXPECT_TRUE(matches("", R"("a")"));
  // Characters that JSON escapes.
  EXPECT_TRUE(matches("^[\\\\s\\\"]+$", R"("\" \n\t")"));
  EXPECT_TRUE(matches("^[^a]$", R"("\\")"));
  EXPECT_TRUE(matches("^[^a]$", R"("\u0001")"));
  EXPECT_FALSE(matches("^[^a]$", "\"\x01\""));
  EXPECT_FALSE(matches("^[^a]$", R"("\u0041")"));  // one spelling of each character
}

}  // namespace
}  // namespace linnet
