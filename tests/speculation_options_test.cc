// --speculate and --draft: the text stays the same.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;
using Arguments = std::vector<std::string>;

Outcome Generate(const Arguments& more) {
  Arguments all = {
      "generate", test::LetterModel("v7"), "--prompt", "abc",          "--json", "--seed",
      "3",        "--max-tokens",          "80",       "--ignore-stop"};
  all.insert(all.end(), more.begin(), more.end());
  return RunLinnet(all);
}

json Result(const Arguments& more) {
  const Outcome outcome = Generate(more);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return json::parse(outcome.out);
}

TEST(SpeculationOptionsTest, ChangeNoText) {
  const json off = Result({"--speculate", "off"});
  EXPECT_EQ(off["speculation"]["guessed"], 0);
  const std::string draft = test::LetterModel("v7").string();
  for (const Arguments& more :
       {Arguments{}, Arguments{"--speculate", "auto"}, Arguments{"--speculate", "5"},
        Arguments{"--draft", draft}, Arguments{"--speculate", "3", "--draft", draft}}) {
    const json on = Result(more);
    EXPECT_EQ(on["text"], off["text"]);
    EXPECT_EQ(on["tokens"], off["tokens"]);
  }
  // The model itself guesses what it writes.
  const json counts = Result({"--speculate", "3", "--draft", draft})["speculation"];
  EXPECT_GT(counts["accepted"], 40);
  EXPECT_LT(counts["passes"], 40);
}

TEST(SpeculationOptionsTest, MistakesAreRefused) {
  EXPECT_EQ(Generate({"--speculate", "many"}).exit_code, 2);
  EXPECT_EQ(Generate({"--speculate", "99"}).exit_code, 2);
  const Outcome other = Generate({"--draft", test::RandomModel("v7")});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("a vocabulary of 256"), std::string::npos) << other.err;
}

}  // namespace
}  // namespace linnet
