// linnet train --resume: what a run keeps, what may change on the way, and what would be another
// run.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>

#include "training.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ResumeTest : public TrainCommandTest {
 protected:
  // The command that goes on, with these options.
  static Words Resume(const std::string& run, const Words& more = {}) {
    return Words{"train", "--out", run, "--resume"} + more;
  }
};

// When a run has taken so many steps.
Due AfterSteps(const std::string& run, size_t steps) {
  return [=](const std::string&) { return Metrics(run).size() >= steps; };
}

// What is given with --resume holds from then on, as if the run had begun with it.
TEST_F(ResumeTest, OptionsGivenOnResumeAreKept) {
  const std::string run = scratch_ / "run";
  Expect(NewRun(run, "8") + Words{"--every", "4"});
  const Words longer = Resume(run, {"--steps", "100000", "--lr", "1e-4"});
  EXPECT_EQ(SignalLinnet(longer + Words{"--skip-spikes"}, AfterSteps(run, 9), SIGINT).exit_code,
            130);
  const json kept = json::parse(ReadFile(run + "/run.json"))["options"];
  EXPECT_EQ(kept["--steps"], json({"100000"}));
  EXPECT_EQ(kept["--lr"], json({"1e-4"}));
  EXPECT_EQ(kept["--every"], json({"4"}));
  EXPECT_EQ(kept["--skip-spikes"], json({"true"}));
  const size_t steps = Metrics(run).size();
  Expect(Resume(run, {"--tokens", std::to_string((steps + 2) * 128)}));
  EXPECT_EQ(Metrics(run).size(), steps + 2);
  EXPECT_FALSE(json::parse(ReadFile(run + "/run.json"))["options"].contains("--steps"));
}

TEST_F(ResumeTest, ARunIsNotTakenPastItsEndNorBack) {
  const std::string run = scratch_ / "run";
  Expect(NewRun(run, "8"));
  const std::string kept = ReadFile(run + "/run.json"), model = ReadFile(run + "/model.pth");
  for (const Words& fewer :
       {Words{"--steps", "6"}, Words{"--tokens", "768"}, Words{"--epochs", "0.05"}}) {
    const Outcome back = RunLinnet(Resume(run, fewer));
    EXPECT_EQ(back.exit_code, 1) << back.err;
    EXPECT_NE(back.err.find(fewer[0] + " ends the run at step"), std::string::npos) << back.err;
    EXPECT_EQ(ReadFile(run + "/run.json"), kept);
  }
  fs::remove(run + "/model.pth");  // as if it was killed before this
  const Outcome done = RunLinnet(Resume(run, {"--json"}));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.err.find("nothing is left to do: done after step 8"), 0u) << done.err;
  EXPECT_EQ(json::parse(done.out)["steps"], 8);
  EXPECT_TRUE(ReadFile(run + "/model.pth") == model);
}

// It leaves the model that it began with, and maybe its options.
TEST_F(ResumeTest, ARunStoppedBeforeItsFirstCheckpointIsNoBeginningOfAnother) {
  const std::string stale = scratch_ / "stale", fresh = scratch_ / "fresh";
  const Words other = {"--seed", "5"};
  const auto run = [&](const std::string& out) {
    Words words = NewRun(out, "4") + other;
    *(std::find(words.begin(), words.end(), "--width") + 1) = "128";
    return words;
  };
  Expect(NewRun(stale, "4"));
  for (const char* file : {"/checkpoint-00000004.safetensors", "/model.pth"})
    fs::remove(stale + file);
  Expect(run(stale));
  Expect(run(fresh));
  for (const char* file : {"/init.safetensors", "/model.pth"}) {
    EXPECT_TRUE(ReadFile(stale + file) == ReadFile(fresh + file)) << file;
  }
  // One that has a checkpoint stays.
  const Outcome again = RunLinnet(run(stale));
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_NE(again.err.find("already holds a run; pass --resume"), std::string::npos) << again.err;
  EXPECT_TRUE(ReadFile(stale + "/model.pth") == ReadFile(fresh + "/model.pth"));
  // Going on, it begins with the options and the model that it had.
  for (const char* file : {"/checkpoint-00000004.safetensors", "/model.pth"})
    fs::remove(stale + file);
  Expect(Resume(stale));
  EXPECT_TRUE(ReadFile(stale + "/model.pth") == ReadFile(fresh + "/model.pth"));
}

// Rows are read one after another, however many a step takes.
TEST_F(ResumeTest, AnotherBatchReadsOnWhereTheLastEnded) {
  const std::string run = scratch_ / "run", plain = scratch_ / "plain";
  const auto alter = [](Words words, const std::string& option, const std::string& value) {
    *(std::find(words.begin(), words.end(), option) + 1) = value;
    return words;
  };
  // The rate is zero, so that a step's loss is that of its rows under one and the same model.
  Words words = alter(alter(NewRun(run, "4"), "--lr", "0:0"), "--dropout", "0") +
                Words{"--precision", "f32", "--seed", "3"};
  Expect(words);
  Expect(Resume(run, {"--accumulate", "1", "--steps", "8"}));
  Expect(Resume(run, {"--steps", "10"}));
  Expect(alter(alter(alter(words, "--out", plain), "--accumulate", "1"), "--steps", "14"));
  const auto changed = Metrics(run), same = Metrics(plain);
  ASSERT_EQ(changed.size(), 10u);
  ASSERT_EQ(same.size(), 14u);
  for (size_t i = 4; i < changed.size(); ++i) {
    EXPECT_EQ(changed[i]["loss"], same[i + 4]["loss"]) << i;
  }
  // An epoch that is measured in rows is not longer for it.
  Expect(Resume(run, {"--tokens", "1024"}));  // 32 rows, 28 of them read
  EXPECT_EQ(Metrics(run).size(), 12u);
}

TEST_F(ResumeTest, OptionsThatAreDamagedAreNotGuessed) {
  const std::string run = scratch_ / "run";
  Expect(NewRun(run, "2"));
  const json good = json::parse(ReadFile(run + "/run.json"));
  for (const auto& [option, value] : {std::pair<const char*, json>{"--steps", "12"},
                                      {"--steps", 12},
                                      {"--steps", json::array()},
                                      {"--steps", json::array({12})},
                                      {"--steps", json::array({"many"})},
                                      {"--batch", json::array({"-1"})},
                                      {"--stepps", json::array({"12"})}}) {
    json odd = good;
    odd["options"][option] = value;
    WriteFile(run + "/run.json", odd.dump());
    const Outcome outcome = RunLinnet(Resume(run));
    EXPECT_EQ(outcome.exit_code, 1) << odd.dump();
    EXPECT_NE(outcome.err.find("run.json: is damaged: "), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(option), std::string::npos) << outcome.err;
  }
}

TEST_F(ResumeTest, ARunGoesOnFromAnotherFolder) {
  const std::string run = scratch_ / "run";
  const std::string script = "cd \"$1\"; shift; exec \"$@\"";
  Words words = NewRun("run", "2") + Words{"--valid", "story.txt"};
  for (std::string& word : words) {
    if (word == data_) word = "story";
    if (word == vocab_) word = "vocab.txt";
  }
  const std::string linnet = fs::absolute(LINNET_PROGRAM), folder = fs::path(run).parent_path();
  const Outcome began = RunProgram("/bin/sh", Words{"-c", script, "sh", folder, linnet} + words);
  ASSERT_EQ(began.exit_code, 0) << began.err;
  Expect(Resume(run, {"--steps", "4"}));
  EXPECT_EQ(Metrics(run).size(), 4u);
}

// What would make it another run is refused, whether it is given with --resume or stands in a file
// that was replaced; the same files may lie elsewhere.
TEST_F(ResumeTest, WhatWouldMakeAnotherRunIsRefused) {
  const std::string run = scratch_ / "run";
  Expect(NewRun(run, "4"));
  const std::string kept = ReadFile(run + "/run.json");
  const std::string other = scratch_ / "other";
  WriteFile(scratch_ / "other.txt", Story().substr(700));
  Expect({"data", "build", scratch_ / "other.txt", "--vocab", vocab_, "--out", other});
  for (const auto& [option, value, then] : {std::tuple("--width", "128", "with --width 64"),
                                            {"--layers", "3", "with --layers 2"},
                                            {"--generation", "6", "with --generation 7"},
                                            {"--head-size", "32", "with --head-size 64"},
                                            {"--rank", "4", "with --rank 8"},
                                            {"--adapter", "pissa", "with --adapter lora"},
                                            {"--tune", "state", "with --tune full"},
                                            {"--base", "other.pth", "without it"},
                                            {"--sampling", "documents", "with --sampling stream"},
                                            {"--ctx", "16", "with --ctx 32"},
                                            {"--quant", "int8", "without it"},
                                            {"--seed", "7", "with --seed 1"},
                                            {"--freeze", "emb", "without it"},
                                            {"--data", other.c_str(), "is not what the run in"}}) {
    const Outcome outcome = RunLinnet(Resume(run, {"--steps", "6", option, value}));
    EXPECT_EQ(outcome.exit_code, 1) << option;
    EXPECT_NE(outcome.err.find(std::string(option) + " " + value), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find(then), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_EQ(ReadFile(run + "/run.json"), kept);
  }
  const std::string moved = scratch_ / "moved";
  for (const char* part : {".bin", ".idx"}) fs::copy_file(data_ + part, moved + part);
  Expect(Resume(run, {"--steps", "6", "--width", "64", "--sampling", "stream", "--data", moved}));
  EXPECT_EQ(json::parse(ReadFile(run + "/run.json"))["options"]["--data"], json::array({moved}));
  for (const char* part : {".bin", ".idx"}) {
    fs::copy_file(other + part, moved + part, fs::copy_options::overwrite_existing);
  }
  const Outcome replaced = RunLinnet(Resume(run, {"--steps", "8"}));
  EXPECT_EQ(replaced.exit_code, 1);
  EXPECT_NE(replaced.err.find(moved + ": is not what the run in"), std::string::npos)
      << replaced.err;
}

TEST_F(ResumeTest, AnotherBaseIsRefused) {
  const std::string base = scratch_ / "base.pth", other = scratch_ / "other.pth";
  const std::string run = scratch_ / "run";
  for (const auto& [seed, model] : {std::pair("1", base), {"2", other}}) {
    Expect({"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab", "280",
            "--random", "--seed", seed, model});
  }
  Expect({"train", "--base", base, "--data", data_, "--out", run, "--ctx", "32", "--batch", "2",
          "--steps", "4", "--tune", "head"});
  const Outcome refused = RunLinnet(Resume(run, {"--steps", "6", "--base", other}));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("--base " + other + ": is not what"), std::string::npos)
      << refused.err;
  const std::string moved = scratch_ / "moved.pth";
  fs::rename(base, moved);
  Expect(Resume(run, {"--steps", "6", "--base", moved}));
  Expect(Resume(run, {"--steps", "8"}));
}

// Results differ between levels, so that a run stays at that of its beginning.
TEST_F(ResumeTest, TheInstructionSetLevelIsKept) {
  const std::string whole = scratch_ / "whole", cut = scratch_ / "cut";
  const Words level = {"--isa", "portable", "--every", "4"};
  Expect(NewRun(whole, "8") + level);
  Expect(NewRun(cut, "8") + level);
  for (const char* file : {"/checkpoint-00000008.safetensors", "/model.pth"})
    fs::remove(cut + file);
  Expect(Resume(cut));
  for (const char* file : {"/model.pth", "/model.safetensors"}) {
    EXPECT_TRUE(ReadFile(whole + file) == ReadFile(cut + file)) << file;
  }
  EXPECT_EQ(json::parse(ReadFile(cut + "/run.json"))["options"]["--isa"],
            json::array({"portable"}));
}

// As an older version wrote it, which knew files by their names.
TEST_F(ResumeTest, ARunOfAnOlderVersionGoesOn) {
  const std::string run = scratch_ / "run";
  Expect(NewRun(run, "4"));
  json old = json::parse(ReadFile(run + "/run.json"));
  old.erase("data_hash");
  old.erase("base_hash");
  WriteFile(run + "/run.json", old.dump());
  const Outcome other = RunLinnet(Resume(run, {"--data", scratch_ / "other"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("began with --data " + data_), std::string::npos) << other.err;
  Expect(Resume(run, {"--steps", "6", "--data", data_}));
  EXPECT_TRUE(json::parse(ReadFile(run + "/run.json")).contains("data_hash"));
}

TEST_F(ResumeTest, ADamagedCheckpointIsSaidAndLeftForAnOlderOne) {
  const std::string run = scratch_ / "run", newest = run + "/checkpoint-00000008.safetensors";
  Expect(NewRun(run, "8") + Words{"--every", "4"});
  const std::string good = ReadFile(newest), model = ReadFile(run + "/model.pth");
  WriteFile(newest, good.substr(0, good.size() / 2));
  const Outcome outcome = RunLinnet(Resume(run));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err.find(newest + ": is damaged (it is cut off"), 0u) << outcome.err;
  EXPECT_TRUE(ReadFile(newest) == good);
  EXPECT_TRUE(ReadFile(run + "/model.pth") == model);
}

TEST_F(ResumeTest, TwoAtOnceAreRefused) {
  const std::string run = scratch_ / "run";
  Outcome second, third;
  const Outcome first = SignalLinnet(
      NewRun(run, "100000") + Words{"--skip-spikes"},
      [&](const std::string& out) {
        if (!AfterSteps(run, 1)(out)) return false;
        second = RunLinnet(Resume(run));
        third = RunLinnet(NewRun(run, "10"));
        return true;
      },
      SIGINT);
  EXPECT_EQ(first.exit_code, 130) << first.err;
  for (const Outcome& outcome : {second, third}) {
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find("another run is being trained in it"), std::string::npos)
        << outcome.err;
  }
}

}  // namespace
}  // namespace linnet
