// Files that are not a model that Linnet runs are refused, in one line that says what it is.
#include "models/detect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "io/tensor_writer.h"
#include "io/test_bytes.h"
#include "linnet/model.h"
#include "models/goldens.h"
#include "models/schema.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using goldens::Data;
using test::MessageOf;

// Names and shapes of tensors whose values do not matter.
using Shapes = std::map<std::string, std::vector<size_t>>;

std::string FileOf(const Shapes& shapes) {
  std::string header = "{";
  size_t end = 0;
  for (const auto& [name, shape] : shapes) {
    size_t bytes = 4;
    for (const size_t n : shape) bytes *= n;
    header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                          end == 0 ? "" : ",", name, fmt::join(shape, ","), end, end + bytes);
    end += bytes;
  }
  return test::Safetensors(header + "}", end);
}

std::string RefusalOf(const std::string& bytes) {
  return MessageOf([&] { ConfigOf(Checkpoint(TensorFile::Parse(test::Bytes(bytes), "f.st"))); });
}

// A whole v7 or v6 of one layer, as far as telling it goes; relatives hold much of theirs.
Shapes Plain(Generation generation) {
  Shapes s = {{"emb.weight", {8, 4}},
              {"head.weight", {8, 4}},
              {"ln_out.weight", {4}},
              {"blocks.0.ln1.weight", {4}},
              {"blocks.0.att.key.weight", {4, 4}},
              {"blocks.0.att.gate.weight", {4, 4}},
              {"blocks.0.att.ln_x.weight", {4}},
              {"blocks.0.ffn.key.weight", {8, 4}}};
  const std::string att = "blocks.0.att.";
  if (generation == Generation::k7) {
    for (const char* letter : {"w1", "a1", "g1"}) s[att + letter] = {4, 2};
    s[att + "r_k"] = {1, 4};
    s[att + "k_k"] = {1, 1, 4};
  } else {
    s[att + "time_maa_x"] = {1, 1, 4};
    s[att + "time_maa_w1"] = {4, 10};
    s[att + "time_decay_w1"] = {4, 2};
    s[att + "time_faaaa"] = {1, 4};
  }
  return s;
}

TEST(DetectTest, RelativesAreRefusedByName) {
  for (const Generation generation : {Generation::k6, Generation::k7}) {
    ASSERT_EQ(RefusalOf(FileOf(Plain(generation))), "") << "no model to begin with";
  }
  const std::pair<const char*, const char*> relatives[] = {
      {"blocks.0.rosa.q.weight", "RWKV-8 ROSA"},
      {"rosa_qkv.emb.weight", "RWKV-8 ROSA"},
      {"moba.0.att.key.weight", "RWKV-X"},
      {"vrwkv.emb.weight", "VisualRWKV"},
      {"encoder_level1.0.att.spatial_decay", "Restore-RWKV or Vision-RWKV"},
      {"blocks.0.att.time_maa_v2", "Finch-C2 without GoldFinch's attention"},
      {"blocks.0.qkv.ennk.weight", "RWKV-8 hybrid (rc00)"},
      {"blocks.0.qkv.emm.weight", "RWKV-8 hybrid (rc00)"},
      {"blocks.0.ffn.enn.weight", "RWKV-8 (rc00)"},
      {"blocks.0.att.gate_w1", "RWKV-6a (experimental)"},
      {"head_q.weight",
       "a model with head QK (head_q, head_k and copy_mask, which add to its logits)"}};
  for (const auto& [mark, name] : relatives) {
    const bool v6 = std::string_view(name).find("6a") != std::string_view::npos;
    Shapes shapes = Plain(v6 ? Generation::k6 : Generation::k7);
    shapes[mark] = {4, 4};
    const std::string message = RefusalOf(FileOf(shapes));
    EXPECT_EQ(message.find(fmt::format("f.st: this is {}, a relative of RWKV", name)), 0u)
        << mark << ": " << message;
  }
}

// One dimension would be read as that many heads of one channel.
TEST(DetectTest, TheTensorThatTellsTheHeadsHasTwoDimensions) {
  for (const auto& [generation, name] : {std::pair(Generation::k6, "blocks.0.att.time_faaaa"),
                                         {Generation::k7, "blocks.0.att.r_k"}}) {
    Shapes shapes = Plain(generation);
    shapes[name] = {4};
    EXPECT_EQ(RefusalOf(FileOf(shapes)),
              fmt::format("f.st: {} is f32[4], expected 2 dimensions", name));
  }
}

TEST(DetectTest, HybridsAndOtherArchitecturesAreRefusedByName) {
  const Shapes embedding = {{"emb.weight", {8, 4}}};
  const std::pair<std::vector<std::string>, const char*> others[] = {
      {{"model.layers.0.self_attn.r_k", "model.layers.0.mlp.up_proj.weight"}, "(QRWKV, ARWKV)"},
      {{"model.layers.0.self_attn.time_maa_x"}, "(QRWKV, ARWKV)"},
      {{"model.layers.0.self_attn.w0"}, "(QRWKV, ARWKV)"},
      {{"model.layers.0.self_attn.time_mixer.receptance.weight"}, "(QRWKV, ARWKV)"},
      {{"model.layers.0.self_attn.w_lora.lora.0.weight"}, "(QRWKV, ARWKV)"},
      {{"layers.0.self_attn.x_r", "layers.0.mlp.up_proj.weight"}, "(QRWKV, ARWKV)"},
      {{"model.layers.0.attn.k_k", "model.layers.0.mlp.gate_proj.weight"}, "(QRWKV, ARWKV)"},
      {{"blocks.0.att.r_k", "blocks.0.ffn.gate.weight"}, "(QRWKV, ARWKV)"},
      {{"layers.0.self_attn.q_proj.weight"}, "a Transformer (Llama, Qwen and the like)"},
      {{"state.000", "state.001"}, "a state as ChatRWKV keeps it"},
      {{"model.layers.0.self_attn.q_proj.weight"}, "a Transformer (Llama, Qwen and the like)"},
      {{"ln3.weight", "blocks.0.ffn.key.weight"}, "RWKV-8 (research)"},
      {{"transformer.h.0.attn.c_attn.weight"}, "a Transformer (GPT)"},
      {{"h.0.attn.c_attn.weight"}, "a Transformer (GPT)"},
      {{"gpt_neox.layers.0.attention.query_key_value.weight"}, "a Transformer (GPT)"},
      {{"state.exp_avg_sq"}, "an optimizer's state"},
      {{"something.weight"}, "expected an RWKV model"}};
  for (const auto& [names, what] : others) {
    Shapes shapes = embedding;
    for (const std::string& name : names) shapes[name] = {4};
    const std::string message = RefusalOf(FileOf(shapes));
    EXPECT_EQ(message.rfind("f.st: ", 0), 0u) << message;
    EXPECT_NE(message.find(what), std::string::npos) << names[0] << ": " << message;
  }
}

TEST(DetectTest, AnAdapterOfAnotherArchitectureIsRefusedByName) {
  const Shapes llama = {{"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", {2, 4}},
                        {"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", {4, 2}}};
  const std::string message = RefusalOf(FileOf(llama));
  EXPECT_NE(message.find("an adapter (LoRA and the like) of a Transformer"), std::string::npos)
      << message;
  EXPECT_NE(message.find("layers.0.self_attn.q_proj.lora_A"), std::string::npos) << message;
  const std::string own = RefusalOf(FileOf({{"blocks.0.att.key.lora_A", {2, 4}}}));
  EXPECT_NE(own.find("open the model it was trained on"), std::string::npos) << own;
}

// Its low-rank matrices are called *_lora.lora.0.weight.
TEST(DetectTest, AModelUnderFlasNamesIsNoAdapter) {
  for (const std::string prefix : {"model.", ""}) {
    Shapes shapes = {{prefix + "embeddings.weight", {8, 4}},
                     {prefix + "layers.0.attn.w_lora.lora.0.weight", {2, 4}},
                     {prefix + "layers.0.attn.w_lora.lora.2.weight", {4, 2}}};
    const std::string part = FileOf(shapes);  // of a sharded file
    const auto kind = [](const std::string& file) {
      return KindOf(Checkpoint(TensorFile::Parse(test::Bytes(file), "f.st")));
    };
    EXPECT_EQ(kind(part), FileKind::kUnknown);
    shapes["lm_head.weight"] = {8, 4};
    shapes[prefix + "layers.0.attn.k_k"] = {4};
    const std::string whole = FileOf(shapes);
    EXPECT_EQ(kind(whole), FileKind::kModel);
    const std::string message = RefusalOf(whole);
    EXPECT_EQ(message.find("adapter"), std::string::npos) << message;
  }
}

// As trainers save a module that is part of another.
TEST(DetectTest, APrefixOfTrainersIsNoPartOfTheNames) {
  Shapes shapes;
  for (const auto& [name, shape] : Plain(Generation::k7)) shapes["model." + name] = shape;
  EXPECT_EQ(RefusalOf(FileOf(shapes)), "");
  EXPECT_EQ(WithoutTrainersPrefix("model.blocks.0.att.key.lora_A"), "blocks.0.att.key.lora_A");
  EXPECT_EQ(WithoutTrainersPrefix("model.layers.0.attn.k_k"), "model.layers.0.attn.k_k");
  EXPECT_EQ(WithoutTrainersPrefix("model"), "model");
}

TEST(DetectTest, ATensorThatHoldsNoFloatsIsRefusedWithItsFile) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const std::string message = MessageOf([&] { Model::Open(Data("cases/bool-in-layer.pth")); });
  EXPECT_NE(message.find("cases/bool-in-layer.pth: tensor blocks.0.att.mask is BOOL"),
            std::string::npos)
      << message;
}

TEST(DetectTest, HybridsInGgufAreRefusedByName) {
  const auto text = [](const std::string& s) { return test::Little(s.size(), 8) + s; };
  for (const char* name : {"rwkv6qwen2", "arwkv7"}) {
    std::string file = "GGUF" + test::Little(3, 4) + test::Little(1, 8) + test::Little(1, 8);
    file += text("general.architecture") + test::Little(8, 4) + text(name);
    file += text("output_norm.weight") + test::Little(1, 4) + test::Little(32, 8);
    file += test::Little(0, 4) + test::Little(0, 8);
    file.resize((file.size() + 31) / 32 * 32 + 128);
    const std::string message = RefusalOf(file);
    EXPECT_NE(message.find(name), std::string::npos) << message;
    EXPECT_NE(message.find("a hybrid of RWKV and a Transformer"), std::string::npos) << message;
  }
}

TEST(DetectTest, ALayerThatIsMissingBelowOthersIsNamed) {
  for (const char* rest : {"ln1.weight", "ffn.value.weight"}) {
    Shapes shapes = Plain(Generation::k7);
    shapes[std::string("blocks.2.") + rest] = {4};
    const std::string message = RefusalOf(FileOf(shapes));
    EXPECT_EQ(message, fmt::format("f.st: blocks.2.{} is f32[4], but blocks.1.ln1.weight is "
                                   "missing: the file is incomplete",
                                   rest));
  }
}

// Tests of whole models: copies with tensors left out, put in or renamed.
class ChangedModelTest : public testing::Test {
 protected:
  void Read(const std::filesystem::path& path) {
    const TensorFile file = TensorFile::Open(path);
    for (const TensorView& t : file.tensors()) tensors_[t.name] = {t.shape, linnet::ReadAll(t)};
  }
  std::filesystem::path Write() const {
    const auto path = folder_ / "model.safetensors";
    std::vector<TensorSpec> specs;
    for (const auto& [name, t] : tensors_) specs.push_back({name, SourceType::kF32, t.shape});
    const auto writer = TensorWriter::Create(path, specs);
    for (const auto& [name, t] : tensors_) writer->AppendFloats(SourceType::kF32, t.values);
    writer->Finish();
    return path;
  }
  std::string Refusal() const {
    return MessageOf([path = Write()] { Model::Open(path); });
  }

  struct Tensor {
    std::vector<size_t> shape;
    std::vector<float> values;
  };
  std::map<std::string, Tensor> tensors_;
  test::TemporaryFolder folder_;
};

TEST_F(ChangedModelTest, AGapBetweenLayersIsRefused) {
  for (const char* version : {"4", "7"}) {
    tensors_.clear();
    Read(test::RandomModel(version));
    ASSERT_EQ(Refusal(), "");
    std::erase_if(tensors_, [](const auto& t) { return t.first.rfind("blocks.1.", 0) == 0; });
    const std::string message = Refusal();
    EXPECT_NE(message.find("model.safetensors: blocks.2."), std::string::npos) << message;
    EXPECT_NE(message.find("blocks.1.ln1.weight is missing"), std::string::npos) << message;
  }
}

TEST_F(ChangedModelTest, ATensorThatNothingTakesIsRefused) {
  for (const char* generation : {"4", "5.0", "5.1", "5.2", "6", "6moe", "7", "7a", "7b"}) {
    for (const char* name : {"blocks.1.attn.q_proj.weight", "blocks.2.att.key.lora_A"}) {
      tensors_.clear();
      Read(test::RandomModel(generation));
      tensors_[name] = {{2, 3}, std::vector<float>(6)};
      const std::string message = Refusal();
      EXPECT_NE(message.find(fmt::format("model.safetensors: {} is f32[2, 3]", name)),
                std::string::npos)
          << message;
      EXPECT_NE(message.find(fmt::format("RWKV-{} does not use", generation)), std::string::npos)
          << message;
    }
  }
}

// More would make lists of parameters that are larger than the file.
TEST(DetectTest, ExpertsAndTheirLayersHaveALimit) {
  const auto refusal = [](size_t layers, size_t experts) {
    Shapes shapes = Plain(Generation::k6);
    for (size_t layer = 1; layer < layers; ++layer) shapes[BlockName(layer, "ln1.weight")] = {4};
    for (size_t e = 0; e < experts; ++e) {
      shapes[BlockName(0, ExpertName(e, "ffn_key.weight"))] = {8, 4};
    }
    return RefusalOf(FileOf(shapes));
  };
  EXPECT_EQ(refusal(40, 1024), "");
  EXPECT_EQ(refusal(41, 2), "f.st: has 41 layers; the routing of experts is known for 40");
  EXPECT_EQ(refusal(1, 1025), "f.st: has 1025 experts a layer, expected at most 1024");
}

TEST_F(ChangedModelTest, EveryLayerHasTheFirstLayersExperts) {
  const auto name = [](size_t layer, size_t expert) {
    return BlockName(layer, ExpertName(expert, "ffn_value.weight"));
  };
  Read(test::RandomModel("6moe"));
  const Tensor last = tensors_[name(1, 2)];
  tensors_.erase(name(1, 2));
  EXPECT_NE(Refusal().find(name(1, 2) + " is missing, expected [128, 448]"), std::string::npos)
      << Refusal();
  tensors_[name(1, 2)] = tensors_[name(1, 3)] = last;
  EXPECT_NE(Refusal().find(name(1, 3) + " is f32[128, 448], which RWKV-6moe does not use"),
            std::string::npos)
      << Refusal();
}

// RWKV-LM's --head_qk of RWKV-4 adds to the logits what it copies from the context.
TEST_F(ChangedModelTest, HeadQkIsRefusedByName) {
  Read(test::RandomModel("4"));
  for (const char* name : {"head_q.weight", "head_k.weight"}) {
    tensors_[name] = {{2, 128}, std::vector<float>(256)};
  }
  tensors_["copy_mask"] = {{4, 4}, std::vector<float>(16)};
  const std::string message = Refusal();
  EXPECT_NE(message.find("model.safetensors: this is a model with head QK"), std::string::npos)
      << message;
}

TEST_F(ChangedModelTest, FloatsOutsideTheLayersThatNothingTakesAreRefused) {
  for (const char* generation : {"4", "5.0", "5.1", "5.2", "6", "6moe", "7", "7a", "7b"}) {
    for (const char* name : {"copy_mask", "head.bias", "value_head.weight", "pos_emb"}) {
      tensors_.clear();
      Read(test::RandomModel(generation));
      tensors_[name] = {{2, 3}, std::vector<float>(6)};
      const std::string message = Refusal();
      EXPECT_NE(
          message.find(fmt::format("model.safetensors: {} is f32[2, 3], which RWKV-{} does not use",
                                   name, generation)),
          std::string::npos)
          << message;
    }
  }
}

// A training checkpoint of ours is a model too.
TEST_F(ChangedModelTest, AnOptimizersShareMayStandBesideTheModel) {
  Read(test::RandomModel("7"));
  for (const char* name : {"training.first_moments", "training.second_moments"}) {
    tensors_[name] = {{3}, std::vector<float>(3)};
  }
  EXPECT_EQ(Refusal(), "");
}

TEST_F(ChangedModelTest, TheFirstLayersUnusedPartsMayBeThereOrNot) {
  Read(test::RandomModel("7"));
  const Tensor w0 = tensors_["blocks.0.att.w0"];
  for (const char* name : {"v0", "v1", "v2"}) tensors_[fmt::format("blocks.0.att.{}", name)] = w0;
  EXPECT_EQ(Refusal(), "");
  for (const char* name : {"v0", "v1", "v2"}) tensors_.erase(fmt::format("blocks.0.att.{}", name));
  EXPECT_EQ(Refusal(), "");
}

// ChatRWKV takes it from there.
TEST_F(ChangedModelTest, ATunedStateInTheModelsFileIsWhereItStarts) {
  const std::vector<int32_t> tokens = {3, 1, 4, 1, 5, 9, 2, 6};
  for (const char* version : {"5.2", "6", "7"}) {
    tensors_.clear();
    Read(test::RandomModel(version));
    const auto logits = [&](const Model& model, State state) {
      Workspace workspace({.threads = 2, .exact = true});
      std::vector<float> all(tokens.size() * model.config().vocab);
      model.Forward({tokens, &state, all}, workspace);
      return all;
    };
    const Model plain = Model::Open(Write());
    const auto expected =
        logits(plain, State::Load(test::TunedState(version), plain.state_shape()));
    EXPECT_NE(logits(plain, plain.NewState()), expected) << version;
    Read(test::TunedState(version));
    const Model tuned = Model::Open(Write());
    EXPECT_EQ(logits(tuned, tuned.NewState()), expected) << version;
    tensors_.erase("blocks.1.att.time_state");
    EXPECT_NE(Refusal().find("blocks.1.att.time_state is missing"), std::string::npos) << version;
  }
}

TEST_F(ChangedModelTest, ATunedStateInTheModelsFileGivesTheReferencesLogits) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  for (const char* version : {"5.2", "6", "7"}) {
    tensors_.clear();
    Read(Data(fmt::format("golden/random-v{}.pth", version)));
    Read(Data(fmt::format("golden/random-v{}.state.pth", version)));
    const auto golden =
        TensorFile::Open(Data(fmt::format("golden/random-v{}.state.golden.safetensors", version)));
    const auto tokens = goldens::Ids(golden, "tokens");
    const Model model = Model::Open(Write());
    Workspace workspace({.threads = 2, .exact = true});
    State state = model.NewState();
    std::vector<float> logits(tokens.size() * model.config().vocab);
    model.Forward({tokens, &state, logits}, workspace);
    EXPECT_LE(goldens::Error(logits, ReadAll(*golden.Find("logits"))), 2e-4) << version;
  }
}

}  // namespace
}  // namespace linnet
