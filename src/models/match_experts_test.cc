// Experts under other names are told by shape and number, or the file is refused.
#include "models/match_experts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "io/test_bytes.h"
#include "linnet/model.h"
#include "models/convert.h"
#include "models/detect.h"
#include "models/names.h"
#include "models/schema.h"
#include "models/test_models.h"

namespace linnet {
namespace {

// A new name for a tensor of the channel mix: of an expert, or the layer's own if it has none.
using NewName =
    std::function<std::string(size_t layer, const std::optional<size_t>& expert, bool key)>;

class MatchExpertsTest : public testing::Test {
 protected:
  // A model of three experts and its copy with other names of them and, with `own`, of the layers'
  // own matrices.
  std::filesystem::path Renamed(const NewName& name, bool own = false) {
    const Checkpoint checkpoint(test::RandomModel("6moe"));
    std::vector<TensorSpec> specs;
    for (const TensorView& t : checkpoint.tensors()) {
      specs.push_back({NameOf(t.name, name, own), t.type, t.shape});
    }
    const auto writer = TensorWriter::Create(file_, specs);
    for (const TensorView& t : checkpoint.tensors()) writer->AppendFloats(t.type, ReadAll(t));
    writer->Finish();
    return file_;
  }

  static std::string NameOf(const std::string& released, const NewName& name, bool own) {
    const auto place = SplitBlockName(released);
    if (!place) return released;
    if (const auto expert = SplitExpertName(place->rest)) {
      return name(place->layer, expert->layer, expert->rest == "ffn_key.weight");
    }
    const bool key = place->rest == "ffn.key.weight";
    if (!own || (!key && place->rest != "ffn.value.weight")) return released;
    return name(place->layer, std::nullopt, key);
  }

  static std::string HashOfModel(const std::filesystem::path& file) {
    return Model::Open(file).hash();
  }

  test::TemporaryFolder scratch_;
  std::filesystem::path file_ = scratch_ / "model.safetensors";
};

TEST_F(MatchExpertsTest, NumbersSayWhichBelongTogether) {
  const std::string expected = HashOfModel(test::RandomModel("6moe"));
  Renamed([](size_t layer, const auto& expert, bool key) {
    return fmt::format("blocks.{}.ffn.experts.{}.w{}.weight", layer, *expert, key ? 1 : 2);
  });
  EXPECT_EQ(HashOfModel(file_), expected);
  const Checkpoint checkpoint(file_);
  ASSERT_EQ(checkpoint.matched().size(), 3u * 3 * 2);
  const MatchedTensor& first = checkpoint.matched().front();
  EXPECT_EQ(first.from, "blocks.0.ffn.experts.0.w1.weight");
  EXPECT_EQ(first.to, BlockName(0, ExpertName(0, "ffn_key.weight")));
  EXPECT_EQ(first.shape, (std::vector<size_t>{448, 128}));
  // Converted, it has the released names.
  ConvertCheckpoint(checkpoint, scratch_ / "out.safetensors");
  const Checkpoint converted(scratch_ / "out.safetensors");
  EXPECT_TRUE(converted.matched().empty());
  EXPECT_EQ(ConfigOf(converted).experts, 3u);
}

TEST_F(MatchExpertsTest, TheOneWithoutANumberIsTheLayersOwn) {
  const std::string expected = HashOfModel(test::RandomModel("6moe"));
  Renamed(
      [](size_t layer, const auto& expert, bool key) {
        const std::string which = expert ? fmt::format("moe.{}", *expert) : "shared";
        return fmt::format("blocks.{}.ffn.{}.{}", layer, which, key ? "up" : "down");
      },
      true);
  EXPECT_EQ(HashOfModel(file_), expected);
}

TEST_F(MatchExpertsTest, HuggingFacesPrefixIsRemovedFirst) {
  const Checkpoint checkpoint(test::RandomModel("6moe"));
  std::vector<TensorSpec> specs;
  for (const TensorView& t : checkpoint.tensors()) {
    const auto place = SplitBlockName(t.name);
    std::string name = t.name == "emb.weight" ? "rwkv.embeddings.weight" : "rwkv." + t.name;
    if (t.name == "head.weight") name = t.name;
    if (place) {
      std::string rest(place->rest);
      if (const auto expert = SplitExpertName(rest)) {
        rest = fmt::format("feed_forward.experts.{}.{}", expert->layer, expert->rest);
      } else if (rest.starts_with("att.")) {
        rest.replace(0, 3, "attention");
      } else if (rest.starts_with("ffn.")) {
        rest.replace(0, 3, "feed_forward");
      } else if (rest.starts_with("ln0")) {
        rest.replace(0, 3, "pre_ln");
      }
      name = fmt::format("rwkv.blocks.{}.{}", place->layer, rest);
    }
    specs.push_back({name, t.type, t.shape});
  }
  const auto writer = TensorWriter::Create(file_, specs);
  for (const TensorView& t : checkpoint.tensors()) writer->AppendFloats(t.type, ReadAll(t));
  writer->Finish();
  EXPECT_EQ(Checkpoint(file_).naming(), TensorNaming::kHuggingFace);
  EXPECT_EQ(HashOfModel(file_), HashOfModel(test::RandomModel("6moe")));
}

TEST_F(MatchExpertsTest, StacksBecomeTheirMatrices) {
  const Checkpoint checkpoint(test::RandomModel("6moe"));
  std::vector<TensorSpec> specs;
  std::vector<std::vector<float>> values;
  for (const TensorView& t : checkpoint.tensors()) {
    const auto place = SplitBlockName(t.name);
    if (place && SplitExpertName(place->rest)) continue;
    specs.push_back({t.name, t.type, t.shape});
    values.push_back(ReadAll(t));
  }
  for (size_t layer = 0; layer < 3; ++layer) {
    for (const char* name : {"key", "value"}) {
      auto& stack = values.emplace_back();
      std::vector<size_t> shape;
      for (size_t e = 0; e < 3; ++e) {
        const TensorView& t =
            *checkpoint.Find(BlockName(layer, ExpertName(e, fmt::format("ffn_{}.weight", name))));
        const auto one = ReadAll(t);
        stack.insert(stack.end(), one.begin(), one.end());
        shape = {3, t.shape[0], t.shape[1]};
      }
      specs.push_back(
          {BlockName(layer, fmt::format("ffn.experts_{}", name)), SourceType::kF32, shape});
    }
  }
  const auto writer = TensorWriter::Create(file_, specs);
  for (const auto& each : values) writer->AppendFloats(SourceType::kF32, each);
  writer->Finish();
  EXPECT_EQ(HashOfModel(file_), HashOfModel(test::RandomModel("6moe")));
}

TEST_F(MatchExpertsTest, WithoutPairsOrNumbersTheFileIsRefused) {
  const auto refusal = [&](const NewName& name, bool own = false) {
    Renamed(name, own);
    return test::MessageOf([&] { Model::Open(file_); });
  };
  std::string message = refusal([](size_t layer, const auto& expert, bool key) {
    return fmt::format("blocks.{}.ffn.{}.{}", layer, 2 * *expert, key ? "k" : "v");
  });
  EXPECT_NE(message.find("which RWKV-6 does not use"), std::string::npos) << message;
  message = refusal(
      [](size_t layer, const auto& expert, bool key) {
        return fmt::format("blocks.{}.ffn.{}.{}", layer, expert ? *expert : 3, key ? "k" : "v");
      },
      true);
  EXPECT_NE(message.find("blocks.0.ffn.key.weight is missing"), std::string::npos) << message;
}

}  // namespace
}  // namespace linnet
