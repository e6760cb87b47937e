// What would give wrong numbers is refused in one line, by every command.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "models/goldens.h"
#include "program.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using goldens::Data;

class NoWrongNumbersTest : public testing::Test {
 protected:
  NoWrongNumbersTest() {
    std::string text, lines;
    for (int id = 1; id <= 256; ++id) {
      char line[16];
      snprintf(line, sizeof(line), "%d b'\\x%02x' 1\n", id, static_cast<unsigned>(id - 1));
      lines += line;
    }
    WriteFile(small_, lines);
    for (int id = 257; id < 300; ++id) {
      lines += std::to_string(id) + " 'word" + std::to_string(id) + "' 7\n";
    }
    WriteFile(large_, lines);
    for (int i = 0; i < 200; ++i) text += "the owl said word299 and no more.\n";
    WriteFile(scratch_ / "text.txt", text);
    WriteFile(scratch_ / "texts.json", "[\"the owl said so\"]");
    Expect({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab", "280",
            "--random", model_});
  }

  void Expect(const std::vector<std::string>& words) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  static void ExpectOneLine(const Outcome& outcome, int code, const std::string& part) {
    EXPECT_EQ(outcome.exit_code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }

  ScratchFolder scratch_;
  const std::string small_ = scratch_ / "small.txt", large_ = scratch_ / "large.txt",
                    model_ = scratch_ / "model.safetensors";
};

TEST_F(NoWrongNumbersTest, AVocabularyLargerThanTheModelIsRefusedByAllCommands) {
  const std::string text = scratch_ / "text.txt", out = scratch_ / "out", run = scratch_ / "run";
  Expect({"data", "build", text, "--vocab", large_, "--out", scratch_ / "data"});
  const std::vector<Words> commands = {
      {"generate", model_, "--prompt", "the"},
      {"chat", model_},
      {"logits", model_, "--text", "the", "--out", out},
      {"perplexity", model_, text},
      {"embed", model_, text, scratch_ / "out.npy"},
      {"search", scratch_ / "", "the owl", "--model", model_},
      {"eval", model_, "--tasks", "uncheatable", scratch_ / "texts.json"},
      {"tokenize", "--model", model_},
      {"data", "build", text, "--model", model_, "--out", out},
      {"data", "check", scratch_ / "data", "--model", model_},
      {"convert", model_, scratch_ / "out.safetensors"},
      {"convert", model_, scratch_ / "out.gguf"},
      {"quantize", model_, scratch_ / "out.safetensors", "--type", "int8"},
      {"train", "--base", model_, "--data", scratch_ / "data", "--out", run}};
  for (const Words& command : commands) {
    const Outcome outcome = RunLinnet(command + Words{"--vocab", large_}, "the owl");
    SCOPED_TRACE(command[0] + " " + command[1]);
    ExpectOneLine(outcome, 1, large_ + ": has ids up to 299, the model up to 279");
  }
  EXPECT_FALSE(fs::exists(out));
  const Outcome fits =
      RunLinnet({"generate", model_, "--prompt", "the", "--vocab", small_, "--max-tokens", "3"});
  EXPECT_EQ(fits.exit_code, 0) << fits.err;
}

// The ids that fill up a model are ids in training and in checking.
TEST_F(NoWrongNumbersTest, DataMayHoldTheIdsThatTheModelHas) {
  const std::string text = scratch_ / "text.txt", data = scratch_ / "data";
  Expect({"data", "build", text, "--vocab", large_, "--out", data});
  fs::remove(data + ".vocab.json");  // data of the reference's tool, which does not name one
  const std::string filled = scratch_ / "filled.safetensors";
  Expect({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab", "300",
          "--random", filled});
  const Outcome checked =
      RunLinnet({"data", "check", data, "--model", filled, "--vocab", small_, "--json"});
  EXPECT_EQ(checked.exit_code, 0) << checked.err;
  EXPECT_EQ(nlohmann::json::parse(checked.out)["largest_id"], 299);
  const Outcome trained =
      RunLinnet({"train", "--base", filled, "--data", data, "--vocab", small_, "--out",
                 scratch_ / "run", "--steps", "1", "--ctx", "16", "--batch", "1"});
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  const Outcome outside = RunLinnet({"data", "check", data, "--vocab", small_});
  EXPECT_EQ(outside.exit_code, 1) << outside.out;
}

TEST_F(NoWrongNumbersTest, NoStepsAndNoTokensAreWrongUsage) {
  const std::string data = scratch_ / "data", run = scratch_ / "run";
  Expect({"data", "build", scratch_ / "text.txt", "--vocab", small_, "--out", data});
  for (const char* option : {"--steps", "--tokens"}) {
    const Outcome outcome = RunLinnet(
        {"train", "--base", model_, "--data", data, "--out", run, option, "0", "--ctx", "16"});
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find(option), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(run));
  }
}

TEST_F(NoWrongNumbersTest, InspectCountsASavedStateWithoutItsLogits) {
  const std::string state = scratch_ / "state.safetensors";
  Expect({"generate", model_, "--prompt", "the", "--vocab", small_, "--max-tokens", "3",
          "--save-state", state});
  const Outcome inspected = RunLinnet({"inspect", state, "--json"});
  const Outcome info = RunLinnet({"state", "info", state, "--json"});
  const auto facts = nlohmann::json::parse(inspected.out);
  EXPECT_EQ(facts["parameters"], 64 + 64 * 64 + 64);
  EXPECT_EQ(facts["parameters"], nlohmann::json::parse(info.out)["floats"]) << info.out;
}

TEST_F(NoWrongNumbersTest, ChatRwkvsStateIsImported) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const std::string model = Data("cases/pissa-rwkvpeft/base.pth").string();
  const std::string state = scratch_ / "state.safetensors", out = scratch_ / "logits.safetensors";
  Expect({"state", "import", Data("cases/chatrwkv-state/state.pth").string(), state, "--layout",
          "reference", "--model", model});
  const auto golden = TensorFile::Open(Data("cases/chatrwkv-state/expected.safetensors"));
  std::string tokens;
  for (const int32_t id : goldens::Ids(golden, "tokens")) {
    tokens += (tokens.empty() ? "" : ",") + std::to_string(id);
  }
  Expect({"logits", model, "--tokens", tokens, "--state", state, "--out", out});
  EXPECT_LE(goldens::Error(ReadAll(*TensorFile::Open(out).Find("logits")),
                           ReadAll(*golden.Find("logits"))),
            1e-4);
}

TEST_F(NoWrongNumbersTest, VocabulariesOfOtherFormsAreRead) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const std::string few = Data("cases/vocab-few-bytes.txt").string();
  const Outcome spelled = RunLinnet({"tokenize", "--vocab", few}, "<input>\n0 1 ● \n</input>\n\n");
  EXPECT_EQ(spelled.out, "5,1,2,8,4,6\n") << spelled.err;
  const Outcome unknown = RunLinnet({"tokenize", "--vocab", few}, "2 3 \n");
  ExpectOneLine(unknown, 1, "no token for the text's byte 0x33");
  const Outcome webrwkv =
      RunLinnet({"tokenize", "--vocab", Data("cases/vocab-webrwkv.json").string()}, "你好 the\xff");
  EXPECT_EQ(webrwkv.out, "257,258,256\n") << webrwkv.err;
}

}  // namespace
}  // namespace linnet
