#include "grammar/constraint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "grammar/position_table.h"
#include "grammar/test_constraints.h"
#include "linnet/error.h"

namespace linnet {
namespace {

struct Example {
  const char* name;
  std::shared_ptr<const Grammar> grammar;
};

const std::vector<Example>& Examples() {
  static const std::vector<Example> examples = {
      {"letters", Grammar::FromGbnf("root ::= [a-c]{2,6} (\" \" [a-z]+)*", "g")},
      {"brackets", Grammar::FromGbnf("root ::= \"[\" (root (\", \" root)*)? \"]\" | [0-9]+", "g")},
      {"sums", Grammar::FromGbnf("root ::= root \"+\" root | [0-9a]+", "g")},
      {"palindromes",
       Grammar::FromGbnf("root ::= \"a\" root \"a\" | \"b\" root \"b\" | [abc]?", "g")},
      {"hidden",
       Grammar::FromGbnf("root ::= x x x root \"a\" | \"b\" \nx ::= \"a\"? x \"c\" | ", "g")},
      {"json", Grammar::AnyJson()},
      {"schema", Grammar::FromJsonSchema(R"({"type":"object","properties":{"name":{"type":"string",
         "maxLength":9},"id":{"type":"integer","minimum":-3,"maximum":2024},"next":{"$ref":"#"}},
         "required":["id"],"additionalProperties":{"type":"array","items":{"enum":["ab",1.5,null]}}})",
                                         "s")},
      {"regex", Grammar::FromRegex("(ab|a)*c?[^a]{0,3}é?")},
      {"bnf", Grammar::FromAi00Bnf("start ::= 'a' except!('ab') 'ab' | #'(aa)+' '1';")},
      {"blank", Grammar::FromGbnf("root ::= [a-z]+", "g")->AfterBlank()},
  };
  return examples;
}

// The law of masks: a token is allowed if and only if its bytes are.
TEST(ConstraintTest, MasksAreWhatTryingEachTokenGives) {
  std::mt19937 random(2);
  for (const auto& [name, grammar] : Examples()) {
    for (int walk = 0; walk < 30; ++walk) {
      Constraint constraint(grammar, TestTrie());
      for (int step = 0; step < 30 && !constraint.must_end(); ++step) {
        const auto mask = constraint.Mask();
        std::vector<int32_t> ids;
        for (size_t id = 0; id < TestTrie()->vocab(); ++id) {
          const auto bytes = TestTrie()->bytes(static_cast<int32_t>(id));
          Constraint tried = constraint;
          const bool allowed = !bytes.empty() && tried.AcceptBytes(bytes);
          ASSERT_EQ(Allows(mask, id), allowed) << name << ", token " << bytes;
          EXPECT_EQ(Constraint(constraint).Allows(static_cast<int32_t>(id)), allowed);
          if (allowed) ids.push_back(static_cast<int32_t>(id));
        }
        // Every byte is a token, so some token leads on, or the text is complete.
        ASSERT_TRUE(!ids.empty() || constraint.may_end()) << name;
        EXPECT_EQ(constraint.must_end(), ids.empty()) << name;
        if (ids.empty()) break;
        constraint.Accept(ids[random() % ids.size()]);
      }
    }
  }
}

TEST(ConstraintTest, ATextIsTheSameTokenByTokenAndAtOnce) {
  std::mt19937 random(3);
  for (const auto& [name, grammar] : Examples()) {
    for (int walk = 0; walk < 30; ++walk) {
      Constraint slow(grammar, TestTrie()), fast = slow;
      std::string text;
      for (int step = 0; step < 20 && !slow.must_end(); ++step) {
        const std::vector<int32_t> ids = AllowedIds(slow.Mask());
        if (ids.empty()) break;
        const int32_t id = ids[random() % ids.size()];
        slow.Accept(id);
        text += TestTrie()->bytes(id);
      }
      ASSERT_TRUE(fast.AcceptBytes(text)) << name;
      EXPECT_EQ(fast.may_end(), slow.may_end());
      EXPECT_EQ(AllowedIds(fast.Mask()), AllowedIds(slow.Mask())) << name << ": " << text;
    }
  }
}

TEST(ConstraintTest, AForkGoesOnWithoutItsTwin) {
  const auto grammar = Grammar::FromGbnf("root ::= \"a\" (\"b\" | \"c\")", "g");
  Constraint one(grammar, TestTrie());
  EXPECT_TRUE(one.AcceptBytes("a"));
  Constraint other = one;
  EXPECT_TRUE(one.AcceptBytes("b"));
  EXPECT_TRUE(one.must_end());
  EXPECT_FALSE(other.may_end());
  EXPECT_FALSE(one.AcceptBytes("c"));
  EXPECT_TRUE(other.AcceptBytes("c"));
}

TEST(ConstraintTest, BytesThatAreNotAllowedChangeNothing) {
  const auto grammar = Grammar::FromGbnf("root ::= \"abc\"", "g");
  Constraint constraint(grammar, TestTrie());
  EXPECT_FALSE(constraint.AcceptBytes("abx"));
  EXPECT_TRUE(constraint.AcceptBytes(""));
  EXPECT_TRUE(constraint.AcceptBytes("abc"));
  EXPECT_FALSE(constraint.AcceptBytes("d"));
  EXPECT_TRUE(constraint.must_end());
}

TEST(ConstraintTest, EndsAreAllowedOnlyWhereTheTextMayEnd) {
  const auto grammar = Grammar::FromGbnf("root ::= \"a\" \"b\"*", "g");
  Constraint constraint(grammar, TestTrie());
  const std::vector<int32_t> ends = {0, 1 + 'a'}, also = {1 + '\n', 1 + 'a', 100'000, -1};
  // 'a' is what the grammar wants, but it would end the text.
  EXPECT_EQ(AllowedIds(constraint.Mask(ends, also)).size(), 2u);  // tokens "aa" are not allowed: ab
  EXPECT_FALSE(Allows(constraint.Mask(ends), 1 + 'a'));
  EXPECT_TRUE(Allows(constraint.Mask({}, also), 1 + 'a'));
  EXPECT_FALSE(Allows(constraint.Mask({}, also), 1 + '\n'));
  EXPECT_TRUE(constraint.AcceptBytes("a"));
  const auto mask = constraint.Mask(ends, also);
  for (const size_t id : {0, 1 + 'a', 1 + 'b', 1 + '\n'}) EXPECT_TRUE(Allows(mask, id)) << id;
  EXPECT_EQ(AllowedIds(mask).size(), 4u);
}

TEST(ConstraintTest, ABlankMayComeFirst) {
  const auto plain = Grammar::FromGbnf("root ::= [ab]+ \" \"?", "g"), blank = plain->AfterBlank();
  for (const auto& [text, with, without] : {std::tuple("ab", true, true),
                                            {" ab", true, false},
                                            {"  ab", false, false},
                                            {"ab ", true, true},
                                            {" ", false, false},
                                            {"", false, false}}) {
    EXPECT_EQ(Matches(blank, text), with) << text;
    EXPECT_EQ(Matches(plain, text), without) << text;
  }
}

// A table that became large is left for a new one; deep positions come along.
TEST(ConstraintTest, APositionMovesToAnotherTable) {
  std::mt19937 random(4);
  for (const auto& [name, grammar] : Examples()) {
    PositionTable from(grammar->automaton(), TestTrie()), to(grammar->automaton(), TestTrie());
    for (int walk = 0; walk < 20; ++walk) {
      uint32_t position = PositionTable::kStart;
      for (int step = 0; step < 40; ++step) {
        const auto mask = from.MaskAt(position);
        const std::vector<int32_t> ids = AllowedIds(*mask);
        const uint32_t moved = from.Move(position, to);
        ASSERT_EQ(*to.MaskAt(moved), *mask) << name;
        EXPECT_EQ(to.complete(moved), from.complete(position));
        EXPECT_EQ(to.Move(moved, from), position) << "there is one of each";
        if (ids.empty()) break;
        position = from.After(position, TestTrie()->bytes(ids[random() % ids.size()]));
      }
    }
  }
}

TEST(ConstraintTest, TooMuchAmbiguityIsAnErrorAndChangesNothing) {
  const auto grammar =
      Grammar::FromGbnf("root ::= [ab]* \"a\" [ab]{90000} \"c\" | \"x\" \"y\"", "g");
  Constraint constraint(grammar, TestTrie());
  EXPECT_TRUE(Allows(constraint.Mask(), 1 + 'x'));
  try {
    constraint.AcceptBytes(std::string(20'000, 'a'));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
  }
  EXPECT_FALSE(constraint.may_end());
  EXPECT_TRUE(constraint.AcceptBytes("a"));
}

TEST(ConstraintThreadTest, ThreadsShareAGrammarAndSeeTheSameMasks) {
  const auto grammar = Examples()[6].grammar;
  const auto texts = [&](uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::string> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(RandomText(Constraint(grammar, TestTrie()), random, 0.2, 100).second);
    }
    return all;
  };
  std::vector<std::vector<std::string>> parallel(4);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] { parallel[i] = texts(i); });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(parallel[i], texts(i));
}

}  // namespace
}  // namespace linnet
