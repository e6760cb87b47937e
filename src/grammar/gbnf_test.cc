#include <gtest/gtest.h>

#include <string>

#include "grammar/grammar.h"
#include "grammar/test_constraints.h"
#include "linnet/error.h"

namespace linnet {
namespace {

bool GbnfMatches(const std::string& gbnf, std::string_view text) {
  return Matches(Grammar::FromGbnf(gbnf, "g.gbnf"), text);
}

std::string GbnfError(const std::string& gbnf) {
  try {
    Grammar::FromGbnf(gbnf, "g.gbnf");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(GbnfTest, EachConstructMatchesWhatItSays) {
  EXPECT_TRUE(GbnfMatches(R"(root ::= "a" "b")", "ab"));
  EXPECT_FALSE(GbnfMatches(R"(root ::= "a" "b")", "a"));
  EXPECT_TRUE(GbnfMatches(R"(root ::= "a" | "b" "c" | )", "bc"));
  EXPECT_TRUE(GbnfMatches(R"(root ::= "a" | "b" "c" | )", ""));
  EXPECT_FALSE(GbnfMatches(R"(root ::= ("a" | "b") "c")", "a"));
  EXPECT_TRUE(GbnfMatches(R"(root ::= [a-cx]+)", "abxc"));
  EXPECT_FALSE(GbnfMatches(R"(root ::= [a-cx]+)", "abd"));
  EXPECT_TRUE(GbnfMatches(R"(root ::= [^a-c"])", "é"));
  EXPECT_FALSE(GbnfMatches(R"(root ::= [^a-c"])", "b"));
  EXPECT_TRUE(GbnfMatches(R"(root ::= [a-])", "-"));
  EXPECT_TRUE(GbnfMatches(R"(root ::= .)", "\n"));
  EXPECT_TRUE(
      GbnfMatches("root ::= \"\\x41\\u00e9\\U0001F600\\n\\t\\r\\\\\\\"\"", "Aé😀\n\t\r\\\""));
  EXPECT_TRUE(GbnfMatches("root ::= x-1 # a comment\n\n# another\nx-1 ::= \"y\"\n", "y"));
  EXPECT_TRUE(GbnfMatches("root ::= (\n \"a\" # one\n | \"b\"\n)\n", "b"));
  EXPECT_TRUE(GbnfMatches("root ::= \"a\" |\n \"b\"\n", "b"));
  EXPECT_TRUE(GbnfMatches("root ::= \"a\"\n | \"b\"\r\n", "b"));
}

TEST(GbnfTest, RepetitionsCount) {
  const auto counts = [](const std::string& times) {
    std::string matched;
    for (size_t n = 0; n < 8; ++n) {
      matched += GbnfMatches("root ::= \"ab\"" + times, std::string("abababababababab", 2 * n))
                     ? std::to_string(n)
                     : "";
    }
    return matched;
  };
  EXPECT_EQ(counts("?"), "01");
  EXPECT_EQ(counts("*"), "01234567");
  EXPECT_EQ(counts("+"), "1234567");
  EXPECT_EQ(counts("{3}"), "3");
  EXPECT_EQ(counts("{2,}"), "234567");
  EXPECT_EQ(counts("{2,4}"), "234");
  EXPECT_EQ(counts("{0,2}"), "012");
  EXPECT_EQ(counts("{0}"), "0");
  EXPECT_EQ(counts("{ 1 , 2 }"), "12");
}

// Around the sizes at which repetitions are built from blocks.
TEST(GbnfTest, ManyRepetitionsCountToo) {
  for (const auto& [least, most] :
       {std::pair(999, 1001), {1000, 1000}, {1001, 2000}, {0, 2999}, {2500, 4001}, {0, 1000000}}) {
    const auto grammar = Grammar::FromGbnf(
        "root ::= [ab]{" + std::to_string(least) + "," + std::to_string(most) + "}", "g");
    for (const int n : {0, 1, 998, 999, 1000, 1001, 1002, 1999, 2000, 2001, 2499, 2500, 2998, 2999,
                        3000, 4000, 4001, 4002}) {
      EXPECT_EQ(Matches(grammar, std::string(static_cast<size_t>(n), 'a')), n >= least && n <= most)
          << n << " of " << least << " to " << most;
    }
  }
}

TEST(GbnfTest, RecursionOfEachKindMatches) {
  const std::string left = "root ::= root \"+\" n | n\nn ::= [0-9]";
  EXPECT_TRUE(GbnfMatches(left, "1+2+3"));
  EXPECT_FALSE(GbnfMatches(left, "1+"));
  EXPECT_TRUE(GbnfMatches("root ::= [0-9] \"+\" root | [0-9]", "1+2+3"));
  const std::string middle = "root ::= \"(\" root \")\" root | ";
  EXPECT_TRUE(GbnfMatches(middle, "(()())()"));
  EXPECT_FALSE(GbnfMatches(middle, "(()"));
  EXPECT_FALSE(GbnfMatches(middle, "())"));
  const std::string mutual = "root ::= \"a\" b | \"!\"\nb ::= \"b\" root";
  EXPECT_TRUE(GbnfMatches(mutual, "abab!"));
  const std::string hidden = "root ::= e root \"x\" | \"y\"\ne ::= \"\" | e e";
  EXPECT_TRUE(GbnfMatches(hidden, "yxx"));
  const std::string ambiguous = "root ::= root root | \"a\" | \"\"";
  EXPECT_TRUE(GbnfMatches(ambiguous, std::string(50, 'a')));
}

TEST(GbnfTest, ErrorsTellThePlaceAndWhatIsWanted) {
  EXPECT_EQ(GbnfError("x ::= \"a\""),
            "g.gbnf:1:1: there is no rule 'root', with which the text begins");
  EXPECT_EQ(GbnfError("root ::= a\n"), "g.gbnf:1:10: rule 'a' is not defined");
  EXPECT_EQ(GbnfError("root ::= \"é\" (\"b\"\n"),
            "g.gbnf:1:14: the group is not closed, expected )");
  EXPECT_EQ(GbnfError("root ::= \"a"), "g.gbnf:1:10: the literal is not closed, expected \"");
  EXPECT_EQ(GbnfError("root ::= [a"), "g.gbnf:1:10: the class is not closed, expected ]");
  EXPECT_EQ(GbnfError("root : \"a\""), "g.gbnf:1:6: found ':', expected ::= after 'root'");
  EXPECT_EQ(GbnfError("root ::= \"a\"{3,1}"), "g.gbnf:1:13: 3 is more than 1");
  EXPECT_EQ(GbnfError("root ::= <think>"),
            "g.gbnf:1:10: tokens are not supported in a grammar; write their text");
  EXPECT_EQ(GbnfError("root ::= \"a\"\nroot ::= \"b\""),
            "g.gbnf:2:1: rule 'root' is defined twice");
  EXPECT_EQ(GbnfError("root ::= [z-a]"), "g.gbnf:1:14: the range ends before it begins");
  EXPECT_EQ(GbnfError("root ::= root"), "g.gbnf: no text matches");
  EXPECT_EQ(GbnfError("root ::= \"a\" root"), "g.gbnf: no text matches");
  EXPECT_EQ(
      GbnfError("root ::= \"\\q\""),
      "g.gbnf:1:11: no such escape, expected one of \\x \\u \\U \\t \\r \\n \\\\ \\\" \\[ \\]");
  EXPECT_EQ(GbnfError("root ::= \"\\ud800\""), "g.gbnf:1:11: a surrogate is not a character");
  EXPECT_EQ(GbnfError("root ::= \"\xFF\""), "g.gbnf:1:11: expected UTF-8");
}

TEST(GbnfTest, HostileGrammarsAreRefusedOrEnd) {
  EXPECT_NE(GbnfError("root ::= " + std::string(100'000, '(')).find("nested too deeply"),
            std::string::npos);
  EXPECT_NE(GbnfError("root ::= \"a\"{1000001}").find("are too many"), std::string::npos);
  // Each of a chain of rules doubles the text.
  std::string doubling = "root ::= a0 a0\n";
  for (int i = 0; i < 60; ++i) {
    const std::string next = "a" + std::to_string(i + 1);
    doubling += "a" + std::to_string(i) + " ::= " + next + " " + next + "\n";
  }
  EXPECT_TRUE(Grammar::FromGbnf(doubling + "a60 ::= \"x\"\n", "g") != nullptr);
  // A chain that a recursive function would follow to the end of its stack.
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < 50'000; ++i) {
    chain += "r" + std::to_string(i) + " ::= \"a\" r" + std::to_string(i + 1) + " | \"b\"\n";
  }
  EXPECT_TRUE(GbnfMatches(chain + "r50000 ::= \"c\"\n", "aaab"));
  // Thousands of positions at each byte.
  const auto wide = Grammar::FromGbnf("root ::= [ab]* \"a\" [ab]{5000} \"c\"", "g");
  Constraint constraint(wide, TestTrie());
  EXPECT_TRUE(constraint.AcceptBytes(std::string(500, 'a')));
}

}  // namespace
}  // namespace linnet
