// Grammars, JSON schemas and regular expressions in generate and chat.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;
using Arguments = std::vector<std::string>;

class GrammarOptionsTest : public testing::Test {
 protected:
  std::string File(const std::string& name, const std::string& text) const {
    return folder_.Write(name, text).string();
  }

  static json Generate(int seed, const Arguments& more) {
    Arguments all = {"generate", test::LetterModel("v7"), "--prompt", "abc", "--json",
                     "--seed",   std::to_string(seed),    "--top-p",  "1",   "--temperature",
                     "2"};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome outcome = RunLinnet(all);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out);
  }

  const test::TemporaryFolder folder_;
};

TEST_F(GrammarOptionsTest, ATextThatStopsIsAWholeMatch) {
  const std::string gbnf = File("g.gbnf", "root ::= [a-f]{2,9} (\"-\" [0-9]{2})? \".\"\n");
  const std::string schema =
      File("s.json", R"({"type":"object","properties":{"a":{"type":"string","maxLength":5},
                    "b":{"type":"integer","maximum":9}},"required":["a","b"]})");
  const std::regex wanted("[a-f]{2,9}(-\\d\\d)?\\.");
  for (int seed = 1; seed <= 6; ++seed) {
    const json one = Generate(seed, {"--grammar", gbnf});
    EXPECT_EQ(one["finish_reason"], "stop");
    EXPECT_TRUE(std::regex_match(one["text"].get<std::string>(), wanted)) << one;
    const json two = Generate(seed, {"--regex", "[a-f]{2,9}(-\\d\\d)?\\."});
    EXPECT_EQ(two["text"], one["text"]) << "the same language";
    const json object = Generate(seed, {"--json-schema", schema, "--max-tokens", "2000"});
    EXPECT_EQ(object["finish_reason"], "stop");
    const json value = json::parse(object["text"].get<std::string>());
    EXPECT_LE(value.at("b").get<int64_t>(), 9);
    EXPECT_TRUE(value.at("a").is_string());
  }
}

TEST_F(GrammarOptionsTest, ATextThatIsCutSaysLength) {
  const json cut = Generate(1, {"--regex", "[a-c]{50}", "--max-tokens", "20"});
  EXPECT_EQ(cut["finish_reason"], "length");
  EXPECT_EQ(cut["text"].get<std::string>().size(), 20u);
  EXPECT_EQ(Generate(1, {"--regex", "[a-c]{20}", "--max-tokens", "20"})["finish_reason"], "stop");
  // A stop string ends a text only where it is complete.
  const json whole = Generate(1, {"--regex", "[ab]{9}", "--stop", "a"});
  EXPECT_EQ(whole["text"].get<std::string>().size(), 9u);
}

TEST_F(GrammarOptionsTest, EachReplyOfAChatMatches) {
  const Outcome outcome = RunLinnet(
      {"chat", test::LetterModel("v5.2"), "--seed", "1", "--json", "--regex", "(yes|no), [a-z]{3}"},
      "One?\nTwo?\n/retry\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::istringstream lines(outcome.out);
  size_t replies = 0;
  for (std::string line; std::getline(lines, line); ++replies) {
    const auto text = json::parse(line)["text"].get<std::string>();
    EXPECT_TRUE(std::regex_match(text, std::regex("(yes|no), [a-z]{3}"))) << line;
  }
  EXPECT_EQ(replies, 3u);
}

TEST_F(GrammarOptionsTest, MistakesNameTheFileAndThePlace) {
  const std::string bad = File("bad.gbnf", "root ::= \"a\n");
  const auto run = [](const Arguments& more) {
    Arguments all = {"generate", test::LetterModel("v7"), "--prompt", "abc"};
    all.insert(all.end(), more.begin(), more.end());
    return RunLinnet(all);
  };
  const Outcome syntax = run({"--grammar", bad});
  EXPECT_EQ(syntax.exit_code, 1);
  EXPECT_NE(syntax.err.find("bad.gbnf:1:10: the literal is not closed"), std::string::npos)
      << syntax.err;
  const Outcome keyword = run({"--json-schema", File("n.json", R"({"not":{"type":"null"}})")});
  EXPECT_EQ(keyword.exit_code, 1);
  EXPECT_NE(keyword.err.find("n.json: #/not: is not supported"), std::string::npos) << keyword.err;
  EXPECT_EQ(run({"--grammar", "missing.gbnf"}).exit_code, 1);
  EXPECT_EQ(run({"--grammar", bad, "--regex", "a"}).exit_code, 2);
}

}  // namespace
}  // namespace linnet
