// A small text and small runs of `linnet train` on it, for tests.
#ifndef LINNET_TESTS_TRAINING_H_
#define LINNET_TESTS_TRAINING_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "program.h"

namespace linnet {

inline std::string Story() {
  std::string text;
  const char* who[] = {"fox", "owl", "hare", "bear"};
  for (int i = 0; i < 400; ++i) {
    text += std::string("The ") + who[i * 7 % 4] + " said that the " + who[i * 5 % 4] +
            " would come.\n\nThe " + who[i % 3] + " said nothing.\n";
    if (i % 5 == 0) text += "<|endoftext|>\n";
  }
  return text;
}

class TrainCommandTest : public ::testing::Test {
 protected:
  TrainCommandTest() {
    WriteFile(scratch_ / "story.txt", Story());
    vocab_ = scratch_ / "vocab.txt";
    data_ = scratch_ / "story";
    Expect({"vocab", "train", scratch_ / "story.txt", "--size", "280", "--out", vocab_});
    Expect({"data", "build", scratch_ / "story.txt", "--vocab", vocab_, "--out", data_});
  }

  static void Expect(const Words& words) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  Words NewRun(const std::string& out, const std::string& steps,
               const std::string& ctx = "32") const {
    return {"train", "--data",    data_,  "--out",        out,         "--generation",
            "7",     "--layers",  "2",    "--width",      "64",        "--ctx",
            ctx,     "--batch",   "2",    "--accumulate", "2",         "--steps",
            steps,   "--vocab",   vocab_, "--lr",         "3e-3:3e-4", "--dropout",
            "0.1",   "--threads", "2"};
  }

  ScratchFolder scratch_;
  std::string vocab_, data_;
};

// A small model without a vocabulary, whose tokens are bytes, and data for it.
class ByteModelTest : public ::testing::Test {
 protected:
  ByteModelTest() {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "The owl said that the hare would come.\n";
    WriteFile(story_, text);
    Expect({"init", "--generation", "7", "--layers", "2", "--width", "64", "--vocab", "256",
            "--random", base_});
    Expect({"data", "build", story_, "--model", base_, "--out", scratch_ / "data"});
  }

  static std::string Expect(const Words& words) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }

  ScratchFolder scratch_;
  const std::string story_ = scratch_ / "story.txt", base_ = scratch_ / "base.safetensors";
};

inline std::vector<nlohmann::json> Metrics(const std::string& run) {
  std::vector<nlohmann::json> lines;
  std::string text = ReadFile(std::filesystem::path(run) / "metrics.jsonl");
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    lines.push_back(nlohmann::json::parse(text.substr(at, end - at)));
  }
  return lines;
}

inline int Unfinished(const std::string& run) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(run))
    count += entry.path().extension() == ".tmp";
  return count;
}

// The step of the run's newest checkpoint; 0 if there is none.
inline uint64_t NewestStep(const std::string& run) {
  const std::string prefix = "checkpoint-";
  uint64_t newest = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(run, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".safetensors")) continue;
    newest = std::max<uint64_t>(newest, std::stoull(name.substr(prefix.size())));
  }
  return newest;
}

}  // namespace linnet

#endif  // LINNET_TESTS_TRAINING_H_
