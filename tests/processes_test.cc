// linnet train over MPI: the same bits on any number of processes, and what happens when one is
// lost.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/sanitized.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

constexpr const char* kMpirun = "/usr/bin/mpirun";

std::string ShortDocuments() {
  std::string text;
  const char* who[] = {"fox", "owl", "hare", "bear"};
  for (int i = 0; i < 400; ++i) {
    text += std::string("The ") + who[i * 7 % 4] + " said that the " + who[i * 5 % 4] +
            " would come.\n<|endoftext|>\n";
  }
  return text;
}

class ProcessesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kMpirun)) GTEST_SKIP() << kMpirun << " is not there";
    if (!WithMpi()) GTEST_SKIP() << "built without MPI";
    WriteFile(scratch_ / "story.txt", ShortDocuments());
    vocab_ = scratch_ / "vocab.txt";
    data_ = scratch_ / "story";
    ASSERT_EQ(
        RunLinnet({"vocab", "train", scratch_ / "story.txt", "--size", "280", "--out", vocab_})
            .exit_code,
        0);
    ASSERT_EQ(
        RunLinnet({"data", "build", scratch_ / "story.txt", "--vocab", vocab_, "--out", data_})
            .exit_code,
        0);
  }

  // A build without MPI refuses to be one of several.
  static bool WithMpi() {
    const Outcome outcome = RunProgram(kMpirun, Launch(2) + Words{LINNET_PROGRAM, "train"});
    return outcome.err.find("without MPI") == std::string::npos;
  }

  // As root too, and with more processes than cores. Open MPI itself leaks, as a leak checker sees
  // it.
  static Words Launch(int processes) {
    return {"--allow-run-as-root",    "--oversubscribe", "-x", "ASAN_OPTIONS=detect_leaks=0", "-n",
            std::to_string(processes)};
  }

  Words Train(const std::string& out, const Words& more = {}) const {
    return Words{"train", "--data",  data_, "--out",   out,  "--generation", "7",    "--layers",
                 "2",     "--width", "64",  "--ctx",   "32", "--batch",      "2",    "--accumulate",
                 "6",     "--steps", "16",  "--every", "4",  "--vocab",      vocab_, "--threads",
                 "1",     "--json"} +
           more;
  }

  Outcome Run(int processes, const Words& words) const {
    return RunProgram(kMpirun, Launch(processes) + Words{LINNET_PROGRAM} + words);
  }

  ScratchFolder scratch_;
  std::string vocab_, data_;
};

TEST_F(ProcessesTest, OneTwoAndFourProcessesGiveTheSameBytes) {
  const std::string alone = scratch_ / "alone";
  ASSERT_EQ(RunLinnet(Train(alone)).exit_code, 0);
  const auto files = {"/model.pth", "/checkpoint-00000016.safetensors"};
  for (const int processes : {2, 4}) {
    const std::string out = scratch_ / (processes == 2 ? "two" : "four");
    const Outcome outcome = Run(processes, Train(out));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(json::parse(outcome.out)["peak_resident_mb"].size(), static_cast<size_t>(processes));
    for (const char* file : files) {
      EXPECT_TRUE(ReadFile(alone + file) == ReadFile(out + file))
          << processes << " processes: " << file;
    }
  }
}

TEST_F(ProcessesTest, TwoGiveTheSameBytesInChunks) {
  const std::string alone = scratch_ / "alone", two = scratch_ / "two";
  const Words chunks = {"--chunk", "12"};
  ASSERT_EQ(RunLinnet(Train(alone, chunks)).exit_code, 0);
  const Outcome outcome = Run(2, Train(two, chunks));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(ReadFile(alone + "/model.pth") == ReadFile(two + "/model.pth"));
}

// Over TCP between two network namespaces, which share neither addresses nor a name.
TEST_F(ProcessesTest, TwoHostsGiveTheSameBytes) {
  constexpr const char* kTwoHosts = "tests/two-hosts";
  const Outcome trial = RunProgram(kTwoHosts, {"hostname"});
  if (trial.exit_code == 77) GTEST_SKIP() << trial.err;
  ASSERT_EQ(trial.exit_code, 0) << trial.err;
  EXPECT_NE(trial.out.find("linnet-near\n"), std::string::npos) << trial.out;
  EXPECT_NE(trial.out.find("linnet-far\n"), std::string::npos) << trial.out;

  const std::string alone = scratch_ / "alone", out = scratch_ / "hosts";
  const Outcome one = RunLinnet(Train(alone));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const Outcome outcome = RunProgram(kTwoHosts, Words{LINNET_PROGRAM} + Train(out));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* file : {"/model.pth", "/checkpoint-00000016.safetensors"}) {
    EXPECT_TRUE(ReadFile(alone + file) == ReadFile(out + file)) << file;
  }
  // 16 steps, each of which brings the near host half of the gradients and half of the values.
  const size_t word = outcome.err.rfind("received ");
  ASSERT_NE(word, std::string::npos) << outcome.err;
  const Outcome facts = RunLinnet({"inspect", alone + "/model.pth", "--json"});
  const double values = json::parse(facts.out)["parameters"];
  EXPECT_GT(std::stod(outcome.err.substr(word + 9)), 16 * values * sizeof(float));
}

TEST_F(ProcessesTest, TheirNumberMayChangeOnResume) {
  const std::string whole = scratch_ / "whole", cut = scratch_ / "cut";
  ASSERT_EQ(RunLinnet(Train(whole)).exit_code, 0);
  ASSERT_EQ(Run(2, Train(cut)).exit_code, 0);
  const Words resume = {"train", "--out", cut, "--resume", "--threads", "1"};
  std::filesystem::remove(cut + "/checkpoint-00000016.safetensors");  // as if it ended at step 12
  std::filesystem::remove(cut + "/model.pth");
  const Outcome resumed = Run(4, resume);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_TRUE(ReadFile(whole + "/model.pth") == ReadFile(cut + "/model.pth"));
  // All take the same one where the newest is damaged, which only the first looks at.
  WriteFile(cut + "/checkpoint-00000016.safetensors",
            ReadFile(cut + "/checkpoint-00000016.safetensors").substr(0, 5000));
  std::filesystem::remove(cut + "/model.pth");
  const Outcome mended = Run(2, resume);
  ASSERT_EQ(mended.exit_code, 0) << mended.err;
  EXPECT_NE(mended.err.find("going on from step 12"), std::string::npos) << mended.err;
  EXPECT_TRUE(ReadFile(whole + "/model.pth") == ReadFile(cut + "/model.pth"));
}

// Each has the gradients of its part alone; what all say of a step must be the same, and so must
// what they do.
TEST_F(ProcessesTest, AStepThatCannotBeTakenEndsAll) {
  const std::string out = scratch_ / "run";
  ASSERT_EQ(Run(2, Train(out)).exit_code, 0);
  const Outcome outcome = Run(2, {"train", "--out", out, "--resume", "--threads", "1", "--steps",
                                  "24", "--lr", "1e38", "--skip-spikes"});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("is not a number"), std::string::npos) << outcome.err;
  EXPECT_TRUE(std::filesystem::exists(out + "/checkpoint-00000016.safetensors"));
}

// ZeRO-1: of N processes each holds one Nth of the moments.
TEST_F(ProcessesTest, EachHoldsItsShareOfTheMoments) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const auto wide = [&](const char* out) {
    return Words{"train",        "--data",    data_,      "--out",       scratch_ / out,
                 "--generation", "7",         "--layers", "1",           "--width",
                 "1024",         "--ctx",     "8",        "--batch",     "1",
                 "--accumulate", "4",         "--steps",  "1",           "--vocab",
                 vocab_,         "--threads", "1",        "--precision", "f32",
                 "--json"};
  };
  const Outcome alone = RunLinnet(wide("alone"));
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const double one = json::parse(alone.out)["peak_resident_mb"][0];
  // 14 million parameters: 112 MB of moments, of which a process of two has 56, of four 28.
  for (const auto& [processes, saved] : {std::pair(2, 36), std::pair(4, 62)}) {
    const Outcome outcome = Run(processes, wide(processes == 2 ? "two" : "four"));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const double resident : json::parse(outcome.out)["peak_resident_mb"]) {
      EXPECT_LT(resident, one - saved) << processes << " processes";
    }
  }
}

// `timeout` and a batch system may reach any one of them.
TEST_F(ProcessesTest, WhatEndsOneProcessSavesAndEndsAll) {
  const std::string out = scratch_ / "run", metrics = out + "/metrics.jsonl";
  std::string words;
  for (std::string word : Train(out, {"--skip-spikes"})) {
    if (word == "16" || word == "4") word = "100000";  // steps, and steps between checkpoints
    words += " '" + word + "'";
  }
  const std::string command = "if [ $OMPI_COMM_WORLD_RANK = 0 ]; then exec " LINNET_PROGRAM +
                              words + "; fi; " LINNET_PROGRAM + words + " & until [ -s '" +
                              metrics + "' ]; do sleep 0.1; done; kill -TERM $!; wait $!";
  const Outcome ended = RunProgram(kMpirun, Launch(2) + Words{"sh", "-c", command});
  EXPECT_EQ(ended.exit_code, 130) << ended.err;
  const std::string lines = ReadFile(metrics);
  const auto steps = std::count(lines.begin(), lines.end(), '\n');
  ASSERT_GT(steps, 0) << ended.err;
  const auto saved = out + fmt::format("/checkpoint-{:08}.safetensors", steps);
  EXPECT_EQ(RunLinnet({"inspect", saved}).exit_code, 0) << ended.err;
}

TEST_F(ProcessesTest, ALostProcessEndsTheRunAndLeavesTheLastCheckpoint) {
  const std::string out = scratch_ / "run";
  std::string words;
  for (std::string word : Train(out)) {
    if (word == "16") word = "100000";
    words += " '" + word + "'";
  }
  const std::string command = "if [ $OMPI_COMM_WORLD_RANK = 1 ]; then { until ls " + out +
                              "/checkpoint-*.safetensors; do sleep 0.1; done; kill -KILL $$; } "
                              ">/dev/null 2>&1 & fi; exec " +
                              LINNET_PROGRAM + words;
  const Outcome lost = RunProgram(kMpirun, Launch(2) + Words{"sh", "-c", command});
  EXPECT_NE(lost.exit_code, 0);
  EXPECT_NE(lost.err.find("rank 1"), std::string::npos) << lost.err;
  std::filesystem::path newest;
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("checkpoint-") && name.ends_with(".safetensors")) {
      newest = std::max(newest, entry.path());
    }
  }
  ASSERT_FALSE(newest.empty()) << lost.err;
  EXPECT_EQ(RunLinnet({"inspect", newest.string()}).exit_code, 0);
}

}  // namespace
}  // namespace linnet
