// linnet vocab and linnet data as users run them.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "program.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string TwoAnimals() {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += "The fox said that the owl would come.\n\nThe owl said nothing.\n";
    if (i % 3 == 0) text += "<|endoftext|>\n";
  }
  return text;
}

class DataCommandTest : public ::testing::Test {
 protected:
  DataCommandTest() {
    WriteFile(scratch_ / "story.txt", TwoAnimals());
    WriteFile(scratch_ / "talk.jsonl",
              "{\"question\":\"Who said nothing?\",\"answer\":\"the owl\"}\n");
  }

  std::string Vocabulary() {
    const std::string vocab = scratch_ / "vocab.txt";
    const Outcome made =
        RunLinnet({"vocab", "train", scratch_ / "story.txt", scratch_ / "talk.jsonl", "--size",
                   "272", "--out", vocab, "--json"});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    const json result = json::parse(made.out, nullptr, false);
    EXPECT_EQ(result["size"], 272);
    EXPECT_GT(result["bytes_per_token"], 3.0);
    return vocab;
  }

  json Check(const std::string& name, const std::string& vocab) {
    const Outcome checked =
        RunLinnet({"data", "check", name, "--vocab", vocab, "--ctx", "16", "--json"});
    EXPECT_EQ(checked.exit_code, 0) << checked.err;
    return json::parse(checked.out, nullptr, false);
  }

  ScratchFolder scratch_;
};

TEST_F(DataCommandTest, WhatIsBuiltIsWhatCheckShows) {
  const std::string vocab = Vocabulary(), name = scratch_ / "data";
  const Outcome built = RunLinnet({"data", "build", scratch_ / "talk.jsonl", scratch_ / "story.txt",
                                   "--vocab", vocab, "--out", name, "--keep-order", "--json"});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_EQ(built.err, "");
  const json made = json::parse(built.out, nullptr, false);
  const json seen = Check(name, vocab);
  for (const char* key : {"documents", "tokens", "learnt"}) EXPECT_EQ(made[key], seen[key]) << key;
  EXPECT_EQ(seen["documents"], 102);
  EXPECT_LT(seen["learnt"], seen["tokens"]);
  EXPECT_GT(seen["magic_prime"], 0);
  const json& parts = seen["samples"][0]["parts"];
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0], json({{"learnt", false}, {"text", "User: Who said nothing?\n\nAssistant:"}}));
  EXPECT_EQ(parts[1], json({{"learnt", true}, {"text", " the owl<0>"}}));
  const Outcome shown = RunLinnet({"data", "check", name, "--vocab", vocab});
  EXPECT_NE(shown.out.find("⟦User: Who said nothing?\n\nAssistant:⟧ the owl<0>"),
            std::string::npos);
}

TEST_F(DataCommandTest, ArraysAndStdinAreReadAsFilesAre) {
  const std::string vocab = Vocabulary();
  const std::string line = ReadFile(scratch_ / "talk.jsonl");
  WriteFile(scratch_ / "talk.json", "[\n" + line + ",\n" + line + "]\n");
  WriteFile(scratch_ / "twice.jsonl", "\xEF\xBB\xBF" + line + line);
  const auto build = [&](const std::string& in, const std::string& input) {
    const std::string name = scratch_ / "data";
    const Outcome built = RunLinnet({"data", "build", in, "--vocab", vocab, "--out", name}, input);
    EXPECT_EQ(built.exit_code, 0) << in << built.err;
    return ReadFile(name + ".bin") + ReadFile(name + ".mask");
  };
  const std::string wanted = build(scratch_ / "twice.jsonl", "");
  EXPECT_GT(wanted.size(), 20u);
  EXPECT_EQ(build(scratch_ / "talk.json", ""), wanted);
  EXPECT_EQ(build("-", line + line), wanted);
  EXPECT_EQ(build("-", ReadFile(scratch_ / "talk.json")), wanted);
  fs::copy_file(scratch_ / "story.txt", scratch_ / "story.md");
  const std::string story = build(scratch_ / "story.txt", "");
  EXPECT_EQ(build(scratch_ / "story.md", ""), story);
  EXPECT_EQ(build("-", TwoAnimals()), story);
  const std::string one = scratch_ / "one.txt", other = scratch_ / "other.txt";
  const Words train = {"vocab", "train", "--size", "272", "--out"};
  EXPECT_EQ(RunLinnet(train + Words{one, scratch_ / "story.txt"}).exit_code, 0);
  EXPECT_EQ(RunLinnet(train + Words{other, "-"}, TwoAnimals()).exit_code, 0);
  EXPECT_EQ(ReadFile(one), ReadFile(other));
}

TEST_F(DataCommandTest, AnOutThatCannotBeIsNamedAsItWasGiven) {
  const std::string vocab = Vocabulary();
  const Outcome built = RunLinnet(
      {"data", "build", scratch_ / "story.txt", "--vocab", vocab, "--out", scratch_ / "none/data"});
  EXPECT_EQ(built.exit_code, 1);
  EXPECT_NE(
      built.err.find("none/data.bin: cannot write: there is no folder " + (scratch_ / "none")),
      std::string::npos)
      << built.err;
  EXPECT_EQ(built.err.find('\n'), built.err.size() - 1) << built.err;
}

TEST_F(DataCommandTest, TheSeedDecidesTheBytes) {
  const std::string vocab = Vocabulary();
  const auto build = [&](const char* name, const char* seed) {
    RunLinnet({"data", "build", scratch_ / "talk.jsonl", scratch_ / "story.txt", "--vocab", vocab,
               "--out", scratch_ / name, "--seed", seed, "--learn-prompts"});
    EXPECT_FALSE(fs::exists((scratch_ / name) + ".mask"));
    return ReadFile((scratch_ / name) + ".bin");
  };
  const std::string one = build("a", "1");
  EXPECT_GT(one.size(), 1000u);
  EXPECT_EQ(build("b", "1"), one);
  EXPECT_NE(build("c", "2"), one);
}

TEST_F(DataCommandTest, ErrorsNameTheFileAndLeaveNothing) {
  const std::string vocab = Vocabulary();
  WriteFile(scratch_ / "bad.jsonl", "{\"text\":\"a\"}\n{\"title\":\"b\"}\n");
  const std::string name = scratch_ / "data";
  const Outcome bad =
      RunLinnet({"data", "build", scratch_ / "bad.jsonl", "--vocab", vocab, "--out", name});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.err.find("bad.jsonl:2: expected {\"text\"}"), std::string::npos) << bad.err;
  EXPECT_FALSE(fs::exists(name + ".bin"));
  EXPECT_EQ(RunLinnet({"data", "build", scratch_ / "story.txt", "--out", name}).exit_code, 2);
  const Outcome none = RunLinnet({"data", "check", name});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find("data.bin"), std::string::npos) << none.err;
  // Made with a larger vocabulary than it is read with.
  WriteFile(scratch_ / "bytes.txt", [] {
    std::string text;
    for (int i = 0; i < 256; ++i) {
      char line[32];
      std::snprintf(line, sizeof line, "%d b'\\x%02x' 1\n", i + 1, i);
      text += line;
    }
    return text;
  }());
  ASSERT_EQ(RunLinnet({"data", "build", scratch_ / "story.txt", "--vocab", vocab, "--out", name})
                .exit_code,
            0);
  const Outcome other = RunLinnet({"data", "check", name, "--vocab", scratch_ / "bytes.txt"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("another vocabulary"), std::string::npos) << other.err;
}

TEST_F(DataCommandTest, TheProjectsOwnTextBecomesSensibleDocuments) {
  const fs::path folder = "../shared/data/text";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const std::string vocab = Vocabulary(), name = scratch_ / "data";
  const Outcome built =
      RunLinnet({"data", "build", folder / "fairytaleqa_stories.txt", folder / "asp_en_ccby.txt",
                 folder / "fairytaleqa_qa.jsonl", "--vocab", vocab, "--out", name, "--json"});
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_EQ(json::parse(built.out)["documents"], 278 + 316 + 10580);
}

}  // namespace
}  // namespace linnet
