// linnet state, as users run it: what leaves in any layout comes back to go on with.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;

constexpr const char* kGenerations[] = {"4", "5.0", "5.1", "5.2", "6", "7"};

class StateCommand : public testing::Test {
 protected:
  static std::string Model(const std::string& generation) { return test::RandomModel(generation); }
  static std::string Run(const std::vector<std::string>& words) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }
  // A saved state after these tokens.
  void Save(const std::string& generation, const std::string& tokens, const std::string& file) {
    const std::string logits = scratch_ / "logits.safetensors";
    Run({"logits", Model(generation), "--tokens", tokens, "--out", logits});
    Run({"state", "import", logits, "--layout", "reference", "--model", Model(generation), file});
  }

  ScratchFolder scratch_;
};

TEST_F(StateCommand, WhatGoesThroughAnyLayoutGoesOnTheSame) {
  const std::string saved = scratch_ / "a.state", back = scratch_ / "b.state",
                    whole = scratch_ / "whole.safetensors", rest = scratch_ / "rest.safetensors";
  for (const std::string generation : kGenerations) {
    const std::string carried = scratch_ / ("carried-" + generation).c_str();
    Save(generation, "5,17,200", saved);
    Run({"logits", Model(generation), "--tokens", "5,17,200,9", "--out", whole});
    const auto all = ReadAll(*TensorFile::Open(whole).Find("logits"));
    for (const char* layout : {"reference", "rwkv.cpp", "web-rwkv"}) {
      Run({"state", "export", saved, "--layout", layout, carried});
      Run({"state", "import", carried, "--layout", layout, "--model", Model(generation), back});
      const json diff = json::parse(Run({"state", "diff", saved, back, "--json"}));
      EXPECT_EQ(diff["absolute"], 0) << generation << " " << layout;
      Run({"logits", Model(generation), "--tokens", "9", "--state", back, "--out", rest});
      const auto last = ReadAll(*TensorFile::Open(rest).Find("logits"));
      EXPECT_TRUE(std::equal(last.begin(), last.end(), all.end() - 320)) << generation;
    }
  }
}

TEST_F(StateCommand, InfoTellsTheSizesAndNorms) {
  const std::string saved = scratch_ / "a.state";
  for (const std::string generation : kGenerations) {
    Save(generation, "1,2", saved);
    const json info = json::parse(Run({"state", "info", saved, "--json"}));
    EXPECT_EQ(info["kind"], "state");
    EXPECT_EQ(info["generation"], generation);
    EXPECT_EQ(info["layers"], 3);
    EXPECT_EQ(info["width"], 128);
    EXPECT_EQ(info["model_hash"].get<std::string>().size(), 16);
    EXPECT_EQ(info["norms"].size(), 3);
    for (const json& layer : info["norms"]) {
      EXPECT_EQ(layer.size(), generation == "4" ? 5 : 3);
      for (const json& norm : layer) EXPECT_GT(norm, 0);
    }
    EXPECT_NE(Run({"state", "info", saved}).find("generation"), std::string::npos);
  }
  const json tuned = json::parse(Run({"state", "info", test::TunedState("6").string(), "--json"}));
  EXPECT_EQ(tuned["kind"], "time_state");
  EXPECT_EQ(tuned["generation"], nullptr);
  EXPECT_EQ(tuned["floats"], 3 * 2 * 64 * 64);
}

TEST_F(StateCommand, DiffFindsTheLayerAndPart) {
  const std::string a = scratch_ / "a.state", b = scratch_ / "b.state", bin = scratch_ / "b.bin";
  Save("7", "1,2,3", a);
  Run({"state", "export", a, "--layout", "rwkv.cpp", bin});
  std::string bytes = ReadFile(bin);
  // A value of layer 1's S, which stands after ffn_x and att_x.
  const size_t layer = 2 * 128 + 2 * 64 * 64;
  const float value = 1000;
  std::copy_n(reinterpret_cast<const char*>(&value), 4, bytes.data() + 4 * (layer + 256 + 4321));
  WriteFile(bin, bytes);
  Run({"state", "import", bin, "--layout", "rwkv.cpp", "--model", Model("7"), b});
  const json diff = json::parse(Run({"state", "diff", a, b, "--json"}));
  EXPECT_NEAR(diff["absolute"].get<double>(), 1000, 10);
  EXPECT_NEAR(diff["relative"].get<double>(), 1, 0.01);
  EXPECT_EQ(diff["layers"][1]["S"]["absolute"], diff["absolute"]);
  for (const size_t other : {0, 2}) EXPECT_EQ(diff["layers"][other]["S"]["absolute"], 0);
  EXPECT_EQ(diff["layers"][1]["att_x"]["absolute"], 0);
  EXPECT_NE(Run({"state", "diff", a, b}).find("all"), std::string::npos);
}

TEST_F(StateCommand, TunedStatesBecomeSavedOnesAndBack) {
  const std::string tuned = test::TunedState("6").string();
  const std::string saved = scratch_ / "a.state", back = scratch_ / "back.pth";
  Run({"state", "import", tuned, "--layout", "time_state", "--model", Model("6"), saved});
  for (const char* layout : {"time_state", "rwkv-runner"}) {
    Run({"state", "export", saved, "--layout", layout, "--overwrite", back});
    EXPECT_EQ(json::parse(Run({"state", "diff", tuned, back, "--json"}))["absolute"], 0);
    Run({"state", "import", back, "--layout", layout, "--model", Model("6"), "--overwrite", saved});
  }
  const Outcome unopened =
      RunLinnet({"state", "export", saved, "--layout", "rwkv-runner", scratch_ / "a.st"});
  EXPECT_EQ(unopened.exit_code, 1);
  EXPECT_NE(unopened.err.find("a.st: RWKV-Runner opens states whose name ends in .pth only"),
            std::string::npos)
      << unopened.err;
  const Outcome unsaid =
      RunLinnet({"state", "export", tuned, "--layout", "rwkv.cpp", scratch_ / "a.bin"});
  EXPECT_EQ(unsaid.exit_code, 1);
  EXPECT_NE(unsaid.err.find("--model"), std::string::npos);
  Run({"state", "export", tuned, "--layout", "rwkv.cpp", "--model", Model("6"),
       scratch_ / "a.bin"});
}

TEST_F(StateCommand, InfoTellsWhatATokenCosts) {
  const std::string saved = scratch_ / "a.state";
  Save("7b", "5,17,200", saved);
  const json info = json::parse(Run({"state", "info", saved, "--json"}));
  EXPECT_EQ(info["generation"], "7b");
  EXPECT_EQ(info["tokens"], 3);
  // Per layer 256 + 128 values finished, 32 + 32 kept; and the id.
  const size_t kept = 3 * 64 * 4 + 4;
  EXPECT_EQ(info["token_bytes"], (json{{"file", kept},
                                       {"f16", kept + 3 * 384 * 2},
                                       {"f32", kept + 3 * 384 * 4},
                                       {"compact", kept}}));
  EXPECT_EQ(info["memory_bytes"]["compact"], info["floats"].get<size_t>() * 4 + 3 * kept);
  EXPECT_EQ(info["rows"].size(), 6);
  EXPECT_EQ(info["rows"][3], (json{{"layer", 1}, {"name", "value_low"}, {"width", 32}}));
  for (const json& layer : info["norms"]) {
    for (const char* part : {"query_shift", "key_low", "value_low"}) EXPECT_GT(layer[part], 0);
  }
  const std::string text = Run({"state", "info", saved});
  for (const char* part : {"tokens       3\n",
                           "token_bytes  file 772, f16 3076, f32 5380, compact "
                           "772\n",
                           "key_low [3, 32] in 3 layers, value_low [3, 32] in 3 layers"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST_F(StateCommand, DiffComparesRowsAndTellsLengths) {
  const std::string a = scratch_ / "a.state", b = scratch_ / "b.state", c = scratch_ / "c.state";
  Save("7b", "5,17,200", a);
  Save("7b", "5,17,200,9", b);
  Save("7b", "5,18,200", c);
  const json same = json::parse(Run({"state", "diff", a, a, "--json"}));
  EXPECT_EQ(same["absolute"], 0);
  EXPECT_EQ(same["tokens"], (json{3, 3}));
  EXPECT_EQ(same["same_tokens"], 3);
  const json longer = json::parse(Run({"state", "diff", a, b, "--json"}));
  EXPECT_EQ(longer["tokens"], (json{3, 4}));
  EXPECT_EQ(longer["same_tokens"], 3);
  EXPECT_EQ(longer["layers"][2]["key_low"]["absolute"], 0);
  EXPECT_GT(longer["layers"][2]["att_x"]["absolute"], 0);
  EXPECT_NE(Run({"state", "diff", a, b}).find("3 and 4 tokens; rows are compared of the first 3\n"),
            std::string::npos);
  const json other = json::parse(Run({"state", "diff", a, c, "--json"}));
  EXPECT_EQ(other["same_tokens"], 1);
  EXPECT_GT(other["layers"][0]["key_low"]["absolute"], 0);
  EXPECT_NE(Run({"state", "diff", a, c}).find("3 tokens in both; token 1 is another one\n"),
            std::string::npos);
}

TEST_F(StateCommand, RowsGoThroughTheReferencesLayoutAndNoOther) {
  const std::string saved = scratch_ / "a.state", list = scratch_ / "list.safetensors",
                    back = scratch_ / "b.state", whole = scratch_ / "whole.safetensors",
                    rest = scratch_ / "rest.safetensors";
  Save("7b", "5,17,200", saved);
  Run({"logits", Model("7b"), "--tokens", "5,17,200,9", "--out", whole});
  Run({"state", "export", saved, "--layout", "reference", list});
  Run({"state", "import", list, "--layout", "reference", "--model", Model("7b"), back});
  Run({"logits", Model("7b"), "--tokens", "9", "--state", back, "--out", rest});
  const TensorFile all = TensorFile::Open(whole), last = TensorFile::Open(rest);
  const auto expected = ReadAll(*all.Find("logits")), got = ReadAll(*last.Find("logits"));
  EXPECT_TRUE(std::equal(got.begin(), got.end(), expected.end() - 320));
  EXPECT_EQ(all.Find("state.009")->type, SourceType::kI32);
  EXPECT_EQ(ReadInts(*last.Find("state.009")), (std::vector<int64_t>{5, 17, 200, 9}));
  for (const char* layout : {"rwkv.cpp", "web-rwkv", "time_state"}) {
    const std::string out = scratch_ / "out.bin";
    for (const Words& words :
         {Words{"state", "export", saved, "--layout", layout, out},
          Words{"state", "import", saved, "--layout", layout, "--model", Model("7b"), out}}) {
      const Outcome outcome = RunLinnet(words);
      EXPECT_EQ(outcome.exit_code, 1) << layout << " " << words[1];
      EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
      const bool tuned = std::string(layout) == "time_state" && words[1] == "import";
      EXPECT_EQ(outcome.err.find("use the layout reference") == std::string::npos, tuned)
          << outcome.err;
      EXPECT_FALSE(std::filesystem::exists(out));
    }
  }
}

TEST_F(StateCommand, WrongFilesAndUseAreRefused) {
  const std::string a = scratch_ / "a.state", b = scratch_ / "b.state";
  Save("6", "1", a);
  Save("7", "1", b);
  const std::vector<std::vector<std::string>> wrong = {
      {"state", "info", Model("7")},
      {"state", "info", scratch_ / "absent"},
      {"state", "diff", a, b},
      {"state", "diff", a, test::TunedState("6").string()},
      {"state", "import", a, "--layout", "rwkv.cpp", "--model", Model("6"), scratch_ / "c"},
      {"state", "import", a, "--layout", "reference", "--model", Model("4"), scratch_ / "c"},
      {"state", "import", a, "--layout", "web-rwkv", "--model", Model("6"), scratch_ / "c"},
  };
  for (const auto& words : wrong) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 1) << words[1];
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_NE(outcome.err.find(words[2]), std::string::npos) << outcome.err;
  }
  EXPECT_EQ(RunLinnet({"state"}).exit_code, 2);
  EXPECT_EQ(RunLinnet({"state", "export", a, b}).exit_code, 2);
}

}  // namespace
}  // namespace linnet
