// linnet inspect: the contract of its JSON, for every kind of file.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/tensor_writer.h"
#include "linnet/model.h"
#include "models/goldens.h"
#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

using goldens::Data;
using nlohmann::json;

class InspectTest : public testing::Test {
 protected:
  static json Inspect(const std::string& file) {
    const Outcome outcome = RunLinnet({"inspect", file, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out);
  }
};

const std::vector<std::string> kKeys = {"dtypes", "ffn",     "generation", "head_size",
                                        "heads",  "kind",    "layers",     "parameters",
                                        "ranks",  "tensors", "vocab",      "width"};

std::vector<std::string> KeysOf(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

TEST_F(InspectTest, ModelsOfEveryGenerationAreTold) {
  for (const std::string generation : {"4", "5.0", "5.1", "5.2", "6", "7"}) {
    const json result = Inspect(test::RandomModel(generation));
    EXPECT_EQ(KeysOf(result), kKeys);
    EXPECT_EQ(result["kind"], "model");
    EXPECT_EQ(result["generation"], generation);
    EXPECT_EQ(result["layers"], 3);
    EXPECT_EQ(result["width"], 128);
    EXPECT_EQ(result["heads"], generation == "4" ? 1 : 2);
    EXPECT_EQ(result["head_size"], generation == "4" ? 128 : 64);
    const bool wide = generation == "4" || generation == "5.0" || generation == "7";
    EXPECT_EQ(result["ffn"], wide ? 512 : 448) << generation;
    EXPECT_EQ(result["vocab"], 320);
    uint64_t parameters = 0;
    for (const json& t : result["tensors"]) {
      uint64_t n = 1;
      for (const json& d : t["shape"]) n *= d.get<uint64_t>();
      parameters += n;
    }
    EXPECT_EQ(result["parameters"], parameters);
    EXPECT_EQ(result["dtypes"], (json{{generation == "7" ? "bf16" : "f32", parameters}}));
  }
  EXPECT_EQ(Inspect(test::RandomModel("6"))["ranks"], (json{{"mix", 32}, {"decay", 64}}));
  EXPECT_EQ(Inspect(test::RandomModel("7"))["ranks"],
            (json{{"w", 32}, {"a", 32}, {"v", 32}, {"g", 32}}));
}

TEST_F(InspectTest, NamesAndShapesAreLogicalInEveryDialect) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const json released = Inspect(Data("golden/random-v7.pth"));
  const json fla = Inspect(Data("golden/random-v7.fla.safetensors"));
  const auto shapes = [](const json& result) {
    std::map<std::string, std::vector<size_t>> map;
    for (const json& t : result["tensors"]) {
      map[t["name"]] = t["shape"].get<std::vector<size_t>>();
    }
    return map;
  };
  EXPECT_EQ(shapes(fla), shapes(released));
  EXPECT_EQ(shapes(Inspect(Data("golden/random-v6.webrwkv.st"))),
            shapes(Inspect(Data("golden/random-v6.pth"))));
}

TEST_F(InspectTest, StatesAreTold) {
  const ScratchFolder scratch;
  const json tuned = Inspect(test::TunedState("7"));
  EXPECT_EQ(KeysOf(tuned), kKeys);
  EXPECT_EQ(tuned["kind"], "time_state");
  EXPECT_EQ(tuned["generation"], nullptr);
  EXPECT_EQ(tuned["layers"], 3);
  EXPECT_EQ(tuned["heads"], 2);
  EXPECT_EQ(tuned["vocab"], nullptr);
  const std::string file = scratch / "state.safetensors";
  Model::Open(test::RandomModel("6")).NewState().Save(file);
  const json saved = Inspect(file);
  EXPECT_EQ(KeysOf(saved), kKeys);
  EXPECT_EQ(saved["kind"], "state");
  EXPECT_EQ(saved["generation"], "6");
  EXPECT_EQ(saved["width"], 128);
  EXPECT_EQ(saved["ffn"], nullptr);
  EXPECT_EQ(saved["tensors"].size(), 9);
}

TEST_F(InspectTest, AStateWithRowsTellsItsTokens) {
  const ScratchFolder scratch;
  const std::string file = scratch / "state.safetensors";
  const Model model = Model::Open(test::RandomModel("7b"));
  State state = model.NewState();
  Workspace workspace({.threads = 1});
  const std::vector<int32_t> tokens = {1, 2, 3, 4};
  model.Forward({tokens, &state, {}}, workspace);
  state.Save(file);
  const json saved = Inspect(file);
  EXPECT_EQ(saved["kind"], "state");
  EXPECT_EQ(saved["generation"], "7b");
  EXPECT_EQ(saved["tokens"], 4);
  EXPECT_EQ(saved["dtypes"]["i32"], 4);
  EXPECT_NE(RunLinnet({"inspect", file}).out.find("tokens      4\n"), std::string::npos);
}

TEST_F(InspectTest, ModelsWithTablesAndAttentionAreTold) {
  for (const std::string generation : {"7a", "7b"}) {
    const json result = Inspect(test::RandomModel(generation));
    EXPECT_EQ(KeysOf(result), kKeys);
    EXPECT_EQ(result["generation"], generation);
    EXPECT_EQ(result["vocab"], 320);
    const Outcome text = RunLinnet({"inspect", test::RandomModel(generation).string()});
    EXPECT_NE(text.out.find("RWKV-" + generation), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("blocks.{0-2}.ffn.s_emb.weight"), std::string::npos) << text.out;
    EXPECT_EQ(text.out.find("blocks.{0-2}.qkv.v_emb.weight") != std::string::npos,
              generation == "7b");
  }
}

// The same model and options have one identity; another adapter, mode or format has another.
TEST_F(InspectTest, IdentityIsThatOfTheOptions) {
  const ScratchFolder scratch;
  const std::string model = test::RandomModel("7");
  const auto identity = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"inspect", model, "--identity", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out)["identity"].get<std::string>();
  };
  const std::string usual = identity({});
  EXPECT_EQ(usual.size(), 64u);
  EXPECT_EQ(usual.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(identity({"--threads", "1"}), usual);
  EXPECT_NE(identity({"--exact"}), usual);
  EXPECT_NE(identity({"--quant", "int8"}), usual);
  EXPECT_NE(identity({"--isa", "portable"}), usual);
  EXPECT_NE(RunLinnet({"inspect", model, "--identity"}).out.find("identity    " + usual),
            std::string::npos);
  EXPECT_FALSE(Inspect(model).contains("identity"));
}

TEST_F(InspectTest, AdaptersAreTold) {
  const ScratchFolder scratch;
  const std::string file = scratch / "lora.pth";
  const auto writer =
      TensorWriter::Create(file, {{"blocks.0.att.key.lora_A", SourceType::kBF16, {8, 64}},
                                  {"blocks.0.att.key.lora_B", SourceType::kBF16, {64, 8}},
                                  {"blocks.5.att.key.lora_A", SourceType::kBF16, {8, 64}},
                                  {"blocks.5.att.key.lora_B", SourceType::kBF16, {64, 8}}});
  writer->AppendFloats(SourceType::kBF16, std::vector<float>(4 * 8 * 64));
  writer->Finish();
  const json result = Inspect(file);
  EXPECT_EQ(KeysOf(result), kKeys);
  EXPECT_EQ(result["kind"], "adapter");
  EXPECT_EQ(result["layers"], 6);
  EXPECT_EQ(result["ranks"], (json{{"lora", 8}}));
  EXPECT_EQ(result["width"], nullptr);
}

TEST_F(InspectTest, OtherFilesExitOneWithALine) {
  const ScratchFolder scratch;
  WriteFile(scratch / "empty.pth", "");
  WriteFile(scratch / "text.safetensors", "hello, this is not a checkpoint at all");
  const std::string logits = scratch / "logits.safetensors";
  const auto writer = TensorWriter::Create(logits, {{"logits", SourceType::kF32, {1}}});
  writer->AppendFloats(SourceType::kF32, std::vector<float>{1});
  writer->Finish();
  for (const std::string& file :
       {scratch / "empty.pth", scratch / "text.safetensors", scratch / "absent.pth", logits}) {
    const Outcome outcome = RunLinnet({"inspect", file, "--json"});
    EXPECT_EQ(outcome.exit_code, 1) << file;
    EXPECT_EQ(outcome.out, "") << file;
    EXPECT_NE(outcome.err.find(file), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
}

TEST_F(InspectTest, ForPeopleEqualLayersShareALine) {
  const Outcome outcome = RunLinnet({"inspect", test::RandomModel("7").string()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part : {"RWKV-7", "blocks.{0-2}.att.key.weight", "blocks.{1-2}.att.v1",
                           "blocks.0.ln0.weight", "[320, 128]"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  }
}

}  // namespace
}  // namespace linnet
