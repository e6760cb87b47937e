#include <gtest/gtest.h>

#include <string>

#include "grammar/grammar.h"
#include "grammar/test_constraints.h"
#include "linnet/error.h"

namespace linnet {
namespace {

bool BnfMatches(const std::string& bnf, std::string_view text) {
  return Matches(Grammar::FromAi00Bnf(bnf), text);
}

std::string BnfError(const std::string& bnf) {
  try {
    Grammar::FromAi00Bnf(bnf);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(Ai00BnfTest, EachConstructMatchesWhatItSays) {
  EXPECT_TRUE(BnfMatches("start ::= \"A\" 'B';", "AB"));
  EXPECT_TRUE(BnfMatches("(* c *) start = \"A\" , 'B'; (* d *)", "AB"));
  EXPECT_TRUE(BnfMatches("start ::= 'A' 'B' | 'C' 'D';", "CD"));
  EXPECT_FALSE(BnfMatches("start ::= 'A' 'B' | 'C' 'D';", "ABD"));
  EXPECT_TRUE(BnfMatches("start ::= ('A'|'B') 'C';", "BC"));
  EXPECT_TRUE(BnfMatches("start ::= 'A' ['B'] 'C';", "AC"));
  EXPECT_TRUE(BnfMatches("start ::= 'A'? 'B';", "B"));
  EXPECT_TRUE(BnfMatches("start ::= {'A'|'C'} 'B';", "ACAB"));
  EXPECT_TRUE(BnfMatches("start ::= 'A'* 'B'+ 'C';", "ABBC"));
  EXPECT_TRUE(BnfMatches("start ::= 'A'; start ::= 'B';", "B"));
  EXPECT_TRUE(BnfMatches("start ::= '\\t\\n\\'\\\\\\u0041\\u{1F600}\\x41';", "\t\n'\\A😀A"));
  EXPECT_TRUE(BnfMatches("start ::= #'[a-z]+\\\\d' ';';", "ab1;"));
  EXPECT_TRUE(BnfMatches("start ::= '你好' x; x ::= #\".\";", "你好é"));
  EXPECT_TRUE(BnfMatches("start ::= #substrs'abcd' '!';", "bc!"));
  EXPECT_TRUE(BnfMatches("start ::= #substrs'abcd' '!';", "!"));
  EXPECT_FALSE(BnfMatches("start ::= #substrs'abcd' '!';", "ac!"));
  EXPECT_TRUE(Matches(Grammar::FromAi00Bnf("x ::= 'a';", "x"), "a"));
}

// Unlike GBNF, a text ends as soon as it is complete, but not before its first byte.
TEST(Ai00BnfTest, TextsEndEarly) {
  const auto grammar = Grammar::FromAi00Bnf("start ::= 'A' {'A'};");
  Constraint constraint(grammar, TestTrie());
  EXPECT_TRUE(constraint.AcceptBytes("A"));
  EXPECT_TRUE(constraint.must_end());
  EXPECT_FALSE(constraint.AcceptBytes("A"));
  Constraint empty(Grammar::FromAi00Bnf("start ::= ('{' start '}')?;"), TestTrie());
  EXPECT_FALSE(empty.may_end());
  EXPECT_TRUE(empty.AcceptBytes("{{}}"));
  EXPECT_TRUE(empty.must_end());
  EXPECT_TRUE(BnfMatches("start ::= #e'a+' 'b';", "ab"));
  EXPECT_FALSE(BnfMatches("start ::= #e'a+' 'b';", "aab"));
}

TEST(Ai00BnfTest, ExceptionsAreTextsThatContainNoneOfThem) {
  const std::string bnf = "start ::= except!('\\n\\n') '\\n\\n';";
  EXPECT_TRUE(BnfMatches(bnf, "one\ntwo\n\n"));
  EXPECT_TRUE(BnfMatches(bnf, "\n\n"));
  EXPECT_FALSE(BnfMatches(bnf, "one\n\ntwo\n\n"));
  const std::string rule = "start ::= except!(C) '.' C; C ::= 'A' | 'BB';";
  EXPECT_TRUE(BnfMatches(rule, "xBy.BB"));
  EXPECT_FALSE(BnfMatches(rule, "xBBy.BB"));
  EXPECT_FALSE(BnfMatches(rule, "xA.A"));
  const std::string few = "start ::= except!('x', 3) 'x';";
  EXPECT_TRUE(BnfMatches(few, "abcx"));
  EXPECT_TRUE(BnfMatches(few, "éax"));
  EXPECT_FALSE(BnfMatches(few, "abcdx"));
  EXPECT_FALSE(BnfMatches(few, "ééx"));
}

TEST(Ai00BnfTest, ErrorsTellThePlaceAndWhatIsNotSupported) {
  EXPECT_EQ(BnfError("x ::= 'a';"),
            "bnf:1:1: there is no rule 'start', with which the text begins");
  EXPECT_EQ(BnfError("start ::= a;"), "bnf:1:11: rule 'a' is not defined");
  EXPECT_EQ(BnfError("start ::= 'a'"), "bnf:1:14: found the end, expected ;");
  EXPECT_EQ(BnfError("start ::= ;"), "bnf:1:11: found ';', expected a terminal, a rule or a group");
  EXPECT_EQ(BnfError("start ::= any!;"), "bnf:1:11: any! is not supported; write #\".\"");
  EXPECT_EQ(BnfError("start ::= #ex'a';"), "bnf:1:11: #ex is not supported; write except!");
  EXPECT_EQ(
      BnfError("start ::= except!(#'a');"),
      "bnf:1:19: except! of a regex is not supported, expected a terminal or a rule of terminals");
  EXPECT_EQ(BnfError("start ::= except!(a); a ::= 'x' start;"),
            "bnf:1:11: except! supports only a rule of alternative terminals");
  EXPECT_EQ(BnfError("start ::= #'(?=a)';"), "bnf:1:11: regex:1:1: lookahead is not supported");
  EXPECT_EQ(BnfError("start ::= #'\\d';"),
            "bnf:1:13: no such escape; in a regex, a backslash is written \\\\");
  EXPECT_EQ(BnfError("(* start"), "bnf:1:1: the comment is not closed, expected *)");
  EXPECT_NE(BnfError("start ::= " + std::string(500, '[') + ";").find("nested too deeply"),
            std::string::npos);
}

}  // namespace
}  // namespace linnet
