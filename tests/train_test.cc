// linnet train as users run it: its files, its stops, and going on after a power cut.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/sanitized.h"
#include "program.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string Story() {
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

std::vector<json> Metrics(const std::string& run) {
  std::vector<json> lines;
  std::string text = ReadFile(fs::path(run) / "metrics.jsonl");
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    lines.push_back(json::parse(text.substr(at, end - at)));
  }
  return lines;
}

int Unfinished(const std::string& run) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(run)) count += entry.path().extension() == ".tmp";
  return count;
}

int Checkpoints(const std::string& run) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(run)) {
    count += entry.path().filename().string().starts_with("checkpoint-") &&
             entry.path().extension() == ".safetensors";
  }
  return count;
}

TEST_F(TrainCommandTest, LearnsAndLeavesAModelThatRuns) {
  const std::string run = scratch_ / "run";
  const Outcome trained = RunLinnet(
      NewRun(run, "60") + Words{"--valid", scratch_ / "story.txt", "--every", "20", "--json"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  for (const char* said : {"model: RWKV-7", "memory:", "tokens in all", "time: about"}) {
    EXPECT_NE(trained.err.find(said), std::string::npos) << said << " in\n" << trained.err;
  }
  const auto metrics = Metrics(run);
  ASSERT_EQ(metrics.size(), 60u);
  EXPECT_LT(metrics.back()["loss"].get<double>(), 0.6 * metrics.front()["loss"].get<double>());
  const std::string model = run + "/model.pth";
  const Outcome scored =
      RunLinnet({"perplexity", model, scratch_ / "story.txt", "--vocab", vocab_, "--json"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  // What validation said of the masters holds for the file, whose values are bf16.
  EXPECT_NEAR(json::parse(scored.out)["bits_per_byte"].get<double>(),
              metrics.back()["valid_bits_per_byte"].get<double>(), 2e-2);
  EXPECT_TRUE(fs::exists(run + "/best.safetensors"));
  EXPECT_EQ(RunLinnet(NewRun(run, "60")).exit_code, 1) << "a run was overwritten";
}

TEST_F(TrainCommandTest, ARunOfF32ScoresAsPerplexityDoes) {
  const std::string run = scratch_ / "run";
  Expect(NewRun(run, "10") + Words{"--precision", "f32", "--valid", scratch_ / "story.txt"});
  const Outcome scored = RunLinnet(
      {"perplexity", run + "/model.pth", scratch_ / "story.txt", "--vocab", vocab_, "--json"});
  EXPECT_NEAR(json::parse(scored.out)["bits_per_byte"].get<double>(),
              Metrics(run).back()["valid_bits_per_byte"].get<double>(), 1e-9);
}

// A power cut at any moment: what is killed and resumed ends with the bytes of what was not.
TEST_F(TrainCommandTest, KilledAndResumedEndsWithTheSameBytes) {
  const std::string whole = scratch_ / "whole", cut = scratch_ / "cut";
  const Words often = {"--every", "1"};  // so that many cuts fall into the writing of checkpoints
  const auto seconds = [](const Words& words) {
    const auto start = std::chrono::steady_clock::now();
    Expect(words);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const double all = seconds(NewRun(whole, "400") + often);
  const double start = seconds({"train", "--out", whole, "--resume"});  // nothing is left to do
  std::mt19937 random(20);
  // So that twenty of them do not get to the end.
  std::uniform_real_distribution<double> moment(0.8 * start, 1.1 * start + 0.07 * all);
  int kills = 0, halves = 0;
  for (int i = 0; i < 20; ++i) {
    const bool begun = fs::exists(cut) && Checkpoints(cut) > 0;
    if (!begun) fs::remove_all(cut);
    const Words words = begun ? Words{"train", "--out", cut, "--resume", "--threads", "1"}
                              : NewRun(cut, "400") + often;
    const int exit_code = RunLinnet(words, {}, moment(random), SIGKILL).exit_code;
    kills += exit_code == -SIGKILL;
    halves += Unfinished(cut);
    // Where others' load on the machine has gone, it gets to the end: then another one is killed.
    if (exit_code == 0 && i + 1 < 20) fs::remove_all(cut);
  }
  EXPECT_GT(halves, 0) << "no cut fell into the writing of a checkpoint";
  EXPECT_GT(kills, 10) << "the run was over before it could be killed";
  Expect({"train", "--out", cut, "--resume"});
  for (const char* file : {"/model.pth", "/checkpoint-00000400.safetensors"}) {
    EXPECT_TRUE(ReadFile(whole + file) == ReadFile(cut + file)) << file;
  }
  const auto metrics = Metrics(cut);
  ASSERT_EQ(metrics.size(), 400u);
  for (size_t i = 0; i < metrics.size(); ++i) EXPECT_EQ(metrics[i]["step"], i + 1);
  EXPECT_EQ(Unfinished(cut), 0) << "left lying about";
}

TEST_F(TrainCommandTest, ARunInChunksGoesOnWithThem) {
  const std::string whole = scratch_ / "whole", cut = scratch_ / "cut";
  const Words chunks = {"--chunk", "12", "--bptt", "2", "--every", "4"};
  Expect(NewRun(whole, "12") + chunks);
  Expect(NewRun(cut, "12") + chunks);
  fs::remove(cut + "/checkpoint-00000012.safetensors");  // as if it ended at step 8
  fs::remove(cut + "/model.pth");
  Expect({"train", "--out", cut, "--resume", "--threads", "1"});
  EXPECT_EQ(Metrics(cut).size(), 12u);
  EXPECT_TRUE(ReadFile(whole + "/model.pth") == ReadFile(cut + "/model.pth"));
  const std::string plain = scratch_ / "plain";
  Expect(NewRun(plain, "12"));
  EXPECT_FALSE(ReadFile(whole + "/model.pth") == ReadFile(plain + "/model.pth"));
}

TEST_F(TrainCommandTest, ChunksHoldTheMemoryOfOneWhateverTheContext) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const auto peak = [&](const char* out, const std::string& ctx, const Words& more) {
    const Outcome outcome = RunLinnet(NewRun(scratch_ / out, "1", ctx) + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.peak_bytes;
  };
  const size_t whole = peak("whole", "4096", {}), chunks = peak("a", "4096", {"--chunk", "256"});
  EXPECT_LT(chunks, whole / 3);
  EXPECT_LT(peak("b", "16384", {"--chunk", "256"}), chunks + (16 << 20));
}

TEST_F(TrainCommandTest, CtrlCSavesAndEnds) {
  std::string run;
  Outcome stopped{};
  std::vector<json> metrics;
  for (const double after : {1.5, 6.0, 30.0}) {  // a slow build has made no step at first
    run = scratch_ / ("run" + std::to_string(after)).c_str();
    // On so little data the loss comes near zero, where usual gradients are tiny and one above
    // --clip is a spike.
    stopped = RunLinnet(NewRun(run, "100000") + Words{"--skip-spikes"}, {}, after, SIGINT);
    ASSERT_EQ(stopped.exit_code, 130) << stopped.err;
    metrics = Metrics(run);
    if (!metrics.empty()) break;
  }
  ASSERT_FALSE(metrics.empty()) << stopped.err;
  const std::string step = std::to_string(metrics.back()["step"].get<uint64_t>());
  const std::string digits = std::string(8 - step.size(), '0') + step;
  EXPECT_TRUE(fs::exists(run + "/checkpoint-" + digits + ".safetensors")) << stopped.err;
}

TEST_F(TrainCommandTest, PlotsRunsAsOnePageThatNeedsNothingElse) {
  const std::string run = scratch_ / "a<b", page = scratch_ / "page.html";
  Expect(NewRun(run, "8"));
  const Outcome plotted = RunLinnet({"plot", run, "--out", page, "--json"});
  if (plotted.err.find("libjs-chart.js") != std::string::npos) GTEST_SKIP() << plotted.err;
  ASSERT_EQ(plotted.exit_code, 0) << plotted.err;
  const std::string html = ReadFile(page);
  EXPECT_EQ(html.find("@DATA@"), std::string::npos);
  EXPECT_EQ(html.find("src="), std::string::npos) << "it loads something";
  const std::string mark = "id=\"data\">";
  const size_t begin = html.find(mark) + mark.size();
  const json data = json::parse(html.substr(begin, html.find("</script>", begin) - begin));
  ASSERT_EQ(data.size(), 1u);
  EXPECT_EQ(data[0]["name"], "a<b");
  EXPECT_EQ(data[0]["loss"].size(), 8u);
  EXPECT_EQ(RunLinnet({"plot", scratch_ / "none"}).exit_code, 1);
}

TEST_F(TrainCommandTest, WhatCannotFitIsRefusedBeforeItStarts) {
  const Outcome huge = RunLinnet(NewRun(scratch_ / "run", "10", "1048576"));
  EXPECT_EQ(huge.exit_code, 1);
  EXPECT_NE(huge.err.find("--recompute"), std::string::npos) << huge.err;
}

TEST_F(TrainCommandTest, WrongUsageAndBadDataGetOneLine) {
  EXPECT_EQ(RunLinnet({"train", "--out", scratch_ / "run", "--data", data_}).exit_code, 2);
  const Outcome none = RunLinnet({"train", "--out", scratch_ / "none", "--resume"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find("run.json"), std::string::npos) << none.err;
  const Outcome missing = RunLinnet(NewRun(scratch_ / "run", "10") + Words{"--base", "no.pth"});
  EXPECT_EQ(missing.exit_code, 2) << "both --base and --generation";
  const Outcome cut = RunLinnet(NewRun(scratch_ / "run", "10") + Words{"--bptt", "1"});
  EXPECT_EQ(cut.exit_code, 2);
  EXPECT_NE(cut.err.find("--chunk"), std::string::npos) << cut.err;
}

}  // namespace
}  // namespace linnet
