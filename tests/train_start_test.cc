// linnet train refuses what it can before it writes anything, and a start that fails leaves
// nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include "training.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

class TrainStartTest : public TrainCommandTest {
 protected:
  TrainStartTest() { before_ = Names(); }

  // All files and folders there are.
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(vocab_).parent_path())) {
      names.insert(entry.path().string());
    }
    return names;
  }

  void ExpectNothing(const Words& words, const std::string& why, int exit_code = 1) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, exit_code) << testing::PrintToString(words) << outcome.err;
    EXPECT_NE(outcome.err.find(why), std::string::npos)
        << testing::PrintToString(words) << outcome.err;
    EXPECT_EQ(Names(), before_) << testing::PrintToString(words);
  }

  // The words of NewRun with another value for one option.
  Words With(const std::string& option, const std::string& value, Words words) const {
    const auto at = std::find(words.begin(), words.end(), option);
    if (at == words.end()) return words + Words{option, value};
    *(at + 1) = value;
    return words;
  }
  Words With(const std::string& option, const std::string& value) const {
    return With(option, value, NewRun(scratch_ / "new/run", "2"));
  }

  std::set<std::string> before_;
};

TEST_F(TrainStartTest, AttentionTakesNoChunks) {
  const std::string base = scratch_ / "base.safetensors";
  Expect({"init", "--generation", "7b", "--layers", "2", "--width", "64", "--vocab", "280",
          "--random", base});
  before_ = Names();
  for (const Words& start : {Words{"--base", base}, Words{"--generation", "7b", "--layers", "2",
                                                          "--width", "64", "--vocab", vocab_}}) {
    ExpectNothing(Words{"train", "--data", data_, "--out", scratch_ / "new/run", "--ctx", "32",
                        "--batch", "2", "--steps", "2", "--chunk", "16"} +
                      start,
                  "chunks of 16 tokens: the attention of RWKV-7b reads all past tokens of a row, "
                  "which chunks do not hand on; leave out --chunk");
  }
}

TEST_F(TrainStartTest, WhatIsRefusedLeavesNothing) {
  ExpectNothing(With("--data", scratch_ / "none"), "none.bin");
  ExpectNothing(With("--data", scratch_ / "story.txt"), "story.txt");
  ExpectNothing(With("--vocab", scratch_ / "none"), "none");
  ExpectNothing(With("--width", "100"), "100");
  ExpectNothing(With("--valid", scratch_ / "none"), "none");
  ExpectNothing(With("--freeze", "."), "no parameter is left to learn");
  ExpectNothing(With("--lr", "a:b"), "a:b", 2);
  ExpectNothing(With("--out", scratch_ / "story.txt"), "is a file, expected the name of a folder");
  ExpectNothing(With("--tune", "lora"), "an adapter needs --base", 2);
}

TEST_F(TrainStartTest, WhatDoesNotFitLeavesNothing) {
  // 400 GB of values: no machine that tests has so much memory, and no disk is touched.
  const auto large = With("--layers", "24", With("--width", "32768"));
  ExpectNothing(large, "the run needs about");
  // A small model, and passes that are too large: 3e7 tokens each.
  ExpectNothing(With("--batch", "65536", With("--ctx", "512")), "the run needs about");
  // Checkpoints that no disk holds.
  ExpectNothing(With("--steps", "100000000000",
                     NewRun(scratch_ / "new/run", "1") + Words{"--keep", "0", "--every", "1"}),
                "are free there");
}

TEST_F(TrainStartTest, AFailureAfterTheFirstFileLeavesNothing) {
  // All of these are found when the run's folder is there already.
  const std::string base = scratch_ / "base.safetensors";
  Expect({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab", "280",
          "--random", base});
  before_ = Names();
  const Words tune = {"train",  "--base",  base,
                      "--data", data_,     "--vocab",
                      vocab_,   "--out",   scratch_ / "a/b/run",
                      "--ctx",  "16",      "--batch",
                      "1",      "--steps", "1"};
  ExpectNothing(tune + Words{"--tune", "lora", "--rank", "5000"}, "rank 5000 is too large");
  ExpectNothing(tune + Words{"--tune", "lora", "--targets", "nothing"}, "no matrix of a layer");
  // What was there stays.
  fs::create_directories(scratch_ / "a/b/run");
  WriteFile(scratch_ / "a/b/run/notes.1.2.tmp", "notes");
  before_ = Names();
  ExpectNothing(tune + Words{"--tune", "lora", "--rank", "5000"}, "rank 5000 is too large");
  Expect(tune);
  EXPECT_EQ(ReadFile(scratch_ / "a/b/run/notes.1.2.tmp"), "notes");
}

TEST_F(TrainStartTest, FilesOfOthersInTheFolderStay) {
  const std::string run = scratch_ / "run";
  fs::create_directory(run);
  for (const char* name : {"model.pth", "init.safetensors", "metrics.jsonl", "run.json"}) {
    const std::string file = run + "/" + name;
    WriteFile(file, "notes");
    before_ = Names();
    ExpectNothing(NewRun(run, "1"), std::string(name) + ": exists and holds text");
    EXPECT_EQ(ReadFile(file), "notes");
    fs::remove(file);
  }
  WriteFile(run + "/model.pth", "notes");
  Expect(NewRun(run, "1") + Words{"--overwrite"});
  EXPECT_NE(ReadFile(run + "/model.pth"), "notes");
}

// Ids are the same in data of any vocabulary; what they stand for is not.
TEST_F(TrainStartTest, DataOfAnotherVocabularyIsRefused) {
  const std::string other = scratch_ / "other.txt", text = scratch_ / "other-text.txt";
  WriteFile(text, "Once upon a time there was a fox. Once upon a time there was a bear. ");
  Expect({"vocab", "train", text, "--size", "270", "--out", other});
  before_ = Names();
  ExpectNothing(With("--vocab", other), "another vocabulary (");
  // A new model without --vocab is one of World's.
  Words world = With("--ctx", "16");
  world.erase(std::find(world.begin(), world.end(), "--vocab"),
              std::find(world.begin(), world.end(), "--vocab") + 2);
  ExpectNothing(world, "another vocabulary");
  EXPECT_NE(RunLinnet({"data", "check", data_, "--vocab", other}).err.find("another vocabulary"),
            std::string::npos);
  EXPECT_EQ(RunLinnet({"data", "check", data_, "--vocab", vocab_}).exit_code, 0);
  EXPECT_NE(RunLinnet({"data", "check", data_, "--vocab", vocab_}).out.find("vocabulary: "),
            std::string::npos);

  // A model that holds its vocabulary says itself what its data is of.
  const std::string base = scratch_ / "base.safetensors", plain = scratch_ / "plain.safetensors";
  Expect({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab", "280",
          "--random", plain});
  Expect({"convert", plain, base, "--vocab", other});
  before_ = Names();
  const Words tune = {"train",   "--data", data_,     "--out", scratch_ / "new/run", "--ctx", "16",
                      "--steps", "1",      "--batch", "1"};
  ExpectNothing(tune + Words{"--base", base}, "another vocabulary");
  EXPECT_NE(RunLinnet({"data", "check", data_, "--model", base}).err.find("another vocabulary"),
            std::string::npos);
  // Where nobody knows, as beside the reference's data, nothing is checked but the ids.
  Expect(tune + Words{"--base", plain});
  fs::remove_all(scratch_ / "new");
  fs::remove(data_ + ".vocab.json");
  before_ = Names();
  ExpectNothing(With("--vocab", other), "another vocabulary?");
}

TEST_F(TrainStartTest, AResumedRunChecksItsDataToo) {
  const std::string run = scratch_ / "run";
  Expect(NewRun(run, "2"));
  WriteFile(data_ + ".vocab.json", R"({"version":1,"hash":"0123456789abcdef","tokens":280})");
  const Outcome resumed = RunLinnet({"train", "--out", run, "--resume", "--steps", "3"});
  EXPECT_EQ(resumed.exit_code, 1);
  EXPECT_NE(resumed.err.find("another vocabulary"), std::string::npos) << resumed.err;
  WriteFile(data_ + ".vocab.json", R"({"version":7})");
  const Outcome newer = RunLinnet({"train", "--out", run, "--resume", "--steps", "3"});
  EXPECT_NE(newer.err.find("has version 7"), std::string::npos) << newer.err;
}

}  // namespace
}  // namespace linnet
