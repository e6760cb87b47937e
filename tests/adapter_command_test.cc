// Fine-tuning as docs/training.md shows it: adapters and tuned states, trained, used and merged.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string ModelFile() { return test::ByteModel("v6"); }

class AdapterCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 40; ++i) text += "The owl said that the hare would come.\n";
    WriteFile(scratch_ / "story.txt", text);
    WriteFile(scratch_ / "short.txt", text.substr(0, 200));
    Expect({"data", "build", scratch_ / "story.txt", "--model", ModelFile(), "--out",
            scratch_ / "story"});
  }

  static std::string Expect(const Words& words) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }

  Words Tune(const std::string& out, const Words& more) const {
    return Words{"train", "--base",    ModelFile(), "--data", scratch_ / "story", "--out", out,
                 "--ctx", "32",        "--batch",   "2",      "--every",          "4",     "--keep",
                 "0",     "--threads", "2"} +
           more;
  }

  double BitsPerByteOf(const std::string& model, const Words& more) const {
    const std::string out =
        Expect(Words{"perplexity", model, scratch_ / "short.txt", "--json"} + more);
    return json::parse(out)["bits_per_byte"].get<double>();
  }
  double BitsPerByte(const Words& more) const { return BitsPerByteOf(ModelFile(), more); }

  ScratchFolder scratch_;
};

TEST_F(AdapterCommandTest, LoraOnNf4IsTrainedUsedAndMerged) {
  const std::string run = scratch_ / "run", adapter = run + "/adapter.safetensors";
  const Words quant = {"--quant", "nf4"};
  Expect(Tune(run, quant + Words{"--tune", "lora", "--rank", "8", "--lr", "3e-3", "--steps", "12",
                                 "--valid", scratch_ / "short.txt"}));
  const double before = BitsPerByte(quant);
  EXPECT_LT(BitsPerByte(quant + Words{"--lora", adapter}), 0.9 * before);
  EXPECT_NEAR(BitsPerByte(quant + Words{"--lora", adapter + ":0"}), before, 1e-6);
  EXPECT_TRUE(fs::exists(run + "/best.safetensors"));
  const json facts = json::parse(Expect({"inspect", adapter, "--json"}));
  EXPECT_EQ(facts["kind"], "adapter");
  EXPECT_EQ(facts["ranks"]["lora"], 8);
  EXPECT_NE(
      Expect({"generate", ModelFile(), "--lora", adapter, "--prompt", "The", "--max-tokens", "5",
              "--seed", "1"}),
      Expect({"generate", ModelFile(), "--prompt", "The", "--max-tokens", "5", "--seed", "1"}));
  const std::string merged = scratch_ / "merged.safetensors";
  const json report =
      json::parse(Expect({"merge", ModelFile(), adapter, merged, "--type", "f32", "--json"}));
  EXPECT_LT(report["logits_error"].get<double>(), 1e-5);
  EXPECT_GT(report["logits_moved"].get<double>(), 1e-2);
  EXPECT_EQ(report["adapter"], "lora");
}

TEST_F(AdapterCommandTest, ResumesWithTheOptionsAndTheFactorsItBeganWith) {
  const std::string whole = scratch_ / "whole", cut = scratch_ / "cut";
  const Words words = {"--quant", "int8", "--tune", "lora", "--adapter", "pissa",
                       "--rank",  "4",    "--lr",   "1e-3", "--steps",   "8"};
  Expect(Tune(whole, words));
  Expect(Tune(cut, words));
  fs::remove(cut + "/checkpoint-00000008.safetensors");
  fs::remove(cut + "/adapter.safetensors");
  Expect({"train", "--out", cut, "--resume", "--threads", "1"});
  for (const char* file : {"/adapter.safetensors", "/checkpoint-00000008.safetensors"}) {
    EXPECT_TRUE(ReadFile(whole + file) == ReadFile(cut + file)) << file;
  }
}

TEST_F(AdapterCommandTest, ATunedStateIsTrainedAndUsed) {
  const std::string run = scratch_ / "run", state = run + "/state.pth";
  Expect(Tune(run, {"--tune", "state", "--quant", "int8", "--steps", "12", "--precision", "f32"}));
  const double before = BitsPerByte({});
  const double after = BitsPerByte({"--state", state});
  EXPECT_LT(after, before - 0.02);
  EXPECT_NEAR(BitsPerByte({"--lora", state}), after, 1e-12);
  EXPECT_EQ(json::parse(Expect({"inspect", state, "--json"}))["kind"], "time_state");
  // Merged, into a model without a state and then into one with another.
  const std::string merged = scratch_ / "merged.pth", again = scratch_ / "again.safetensors";
  const json report = json::parse(Expect({"merge", ModelFile(), state, merged, "--json"}));
  EXPECT_EQ(report["states"], 3);
  EXPECT_EQ(report["replaced"], 0);
  EXPECT_LT(report["logits_error"].get<double>(), 1e-6);
  EXPECT_NEAR(BitsPerByteOf(merged, {}), after, 1e-6);
  const std::string start = run + "/start.safetensors";  // of zeros
  const Outcome outcome = RunLinnet({"merge", merged, start, again});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("0 tensors replaced, its tuned state taken in"), std::string::npos)
      << outcome.out;
  EXPECT_EQ(outcome.err.find("not merged"), std::string::npos) << outcome.err;
  EXPECT_NEAR(BitsPerByteOf(again, {}), before, 1e-6);
}

// "F:SCALE", where a file whose name has a colon comes first.
TEST_F(AdapterCommandTest, AScaleThatIsNoNumberIsWrongUsage) {
  const std::string run = scratch_ / "run", adapter = run + "/adapter.safetensors";
  Expect(Tune(run, {"--tune", "lora", "--rank", "2", "--steps", "1"}));
  const auto generate = [&](const std::string& lora) {
    return RunLinnet(
        {"generate", ModelFile(), "--prompt", "a", "--max-tokens", "1", "--lora", lora});
  };
  for (const char* scale : {"abc", "nan", "inf", "1x", ""}) {
    const Outcome outcome = generate(adapter + ":" + scale);
    EXPECT_EQ(outcome.exit_code, 2) << scale;
    EXPECT_NE(outcome.err.find(std::string("'") + scale + "' is not a number to scale"),
              std::string::npos)
        << outcome.err;
  }
  EXPECT_EQ(generate(adapter + ":0.5").exit_code, 0);
  EXPECT_EQ(generate(run + "/none:abc").exit_code, 1);
  fs::copy_file(adapter, adapter + ":abc");
  EXPECT_EQ(generate(adapter + ":abc").exit_code, 0);
}

TEST_F(AdapterCommandTest, WrongUsageAndBadFilesGetOneLine) {
  const std::string run = scratch_ / "run";
  EXPECT_EQ(RunLinnet(Tune(run, {"--tune", "lora", "--targets", "("})).exit_code, 2);
  EXPECT_EQ(RunLinnet(Tune(run, {"--tune", "lora", "--adapter", "bone"})).exit_code, 2);
  const std::string missing = scratch_ / "no.safetensors";
  for (const Words& words : {Tune(run, {"--tune", "lora", "--rank", "999"}),
                             Tune(run, {"--tune", "lora", "--targets", "nothing"}),
                             Words{"generate", ModelFile(), "--prompt", "a", "--lora", missing},
                             Words{"generate", ModelFile(), "--prompt", "a", "--lora", ModelFile()},
                             Words{"merge", ModelFile(), missing, scratch_ / "m.pth"},
                             Words{"merge", missing, missing, scratch_ / "m.pth"}}) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
  EXPECT_FALSE(fs::exists(scratch_ / "m.pth"));
}

}  // namespace
}  // namespace linnet
