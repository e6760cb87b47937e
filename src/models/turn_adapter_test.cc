// Adapters of single turns: whatever they share a pass with, texts have the bits that a model
// opened with the adapter gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "base/scratch_folder.h"
#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "kernels/each_isa.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/test_models.h"

namespace linnet {
namespace {

constexpr size_t kVocab = 320;

// Random factors of rank 4 for all matrices of the layers but the factors of others, and for DoRA
// what the columns are to be as long as.
std::filesystem::path WriteForAll(const std::filesystem::path& path,
                                  const std::filesystem::path& model, uint64_t seed,
                                  bool dora = false) {
  const TensorFile file = TensorFile::Open(model);
  std::vector<TensorSpec> specs;
  for (const TensorView& t : file.tensors()) {
    const bool table = t.name.find("_emb.weight") != t.name.npos;
    if (!t.name.starts_with("blocks.") || !t.name.ends_with(".weight") || table) continue;
    if (t.shape.size() != 2) continue;
    const std::string name = t.name.substr(0, t.name.size() - std::string(".weight").size());
    specs.push_back({name + ".lora_A", SourceType::kF32, {4, t.shape[1]}});
    specs.push_back({name + ".lora_B", SourceType::kF32, {t.shape[0], 4}});
    if (dora) specs.push_back({name + ".lora_M", SourceType::kF32, {1, t.shape[1]}});
  }
  const auto writer = TensorWriter::Create(path, specs);
  std::mt19937 random(static_cast<unsigned>(seed));
  std::normal_distribution<float> normal(0, 0.1f);
  for (const TensorSpec& spec : specs) {
    std::vector<float> values(spec.shape[0] * spec.shape[1]);
    for (float& x : values) x = normal(random) + (spec.name.ends_with("_M") ? 1.0f : 0.0f);
    writer->AppendFloats(SourceType::kF32, values);
  }
  writer->Finish();
  return path;
}

std::vector<int32_t> Text(size_t length, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(length);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % kVocab);
  return tokens;
}

struct TurnRun {
  std::vector<float> logits, state;
  bool operator==(const TurnRun& other) const {
    return BitEqual(logits, other.logits) && BitEqual(state, other.state);
  }
};

struct Part {
  std::vector<int32_t> tokens;
  const TurnAdapter* adapter = nullptr;
};

// In one pass.
std::vector<TurnRun> RunAll(const Model& model, std::span<const Part> parts, bool exact) {
  Workspace workspace({.threads = 2, .exact = exact});
  std::vector<State> states;
  std::vector<TurnRun> runs(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    states.push_back(model.NewState());
    runs[i].logits.resize(kVocab * parts[i].tokens.size());
  }
  std::vector<Turn> turns;
  for (size_t i = 0; i < parts.size(); ++i) {
    turns.push_back({.tokens = parts[i].tokens,
                     .state = &states[i],
                     .logits = runs[i].logits,
                     .adapter = parts[i].adapter});
  }
  model.Forward(turns, workspace);
  for (size_t i = 0; i < parts.size(); ++i) {
    runs[i].state.assign(states[i].values().begin(), states[i].values().end());
  }
  return runs;
}

using TurnAdapterCase = std::tuple<const char*, int>;

class TurnAdapterTest : public testing::TestWithParam<TurnAdapterCase> {
 protected:
  OpenOptions Options() const {
    OpenOptions options;
    const int quant = std::get<1>(GetParam());
    if (quant == 1) options.quant = DType::kI8;
    if (quant == 2) options.quant = DType::kBF16;
    return options;
  }
};

TEST_P(TurnAdapterTest, MixedTurnsHaveTheBitsOfModelsOpenedWithTheAdapter) {
  const test::TemporaryFolder folder;
  const std::filesystem::path files[] = {
      test::WriteLora(folder / "a.safetensors", 1, test::LoraMatrices()),
      test::WriteLora(folder / "b.safetensors", 2, {"blocks.1.att.key"})};
  const auto path = test::RandomModel(std::get<0>(GetParam()));
  const Model base = Model::Open(path, Options());
  const auto a = base.LoadAdapter({files[0], 0.5f}), b = base.LoadAdapter({files[1], 2.0f});
  EXPECT_EQ(a->matrices(), 9u);
  EXPECT_NE(a->digest(), b->digest());
  EXPECT_NE(a->digest(), base.LoadAdapter({files[0], 0.25f})->digest());
  const std::vector<Part> parts = {{Text(1, 1), a.get()},  {Text(5, 2), nullptr},
                                   {Text(20, 3), a.get()}, {Text(3, 4), b.get()},
                                   {Text(1, 5), nullptr},  {Text(1, 6), b.get()}};
  for (const bool exact : {false, true}) {
    const std::vector<TurnRun> mixed = RunAll(base, parts, exact);
    for (size_t i = 0; i < parts.size(); ++i) {
      OpenOptions options = Options();
      if (parts[i].adapter == a.get()) options.adapters = {{files[0], 0.5f}};
      if (parts[i].adapter == b.get()) options.adapters = {{files[1], 2.0f}};
      const Model alone = Model::Open(path, options);
      const Part part{parts[i].tokens, nullptr};
      EXPECT_TRUE(RunAll(alone, {&part, 1}, exact)[0] == mixed[i]) << i << " " << exact;
      // And it changes something.
      if (parts[i].adapter != nullptr) {
        EXPECT_FALSE(RunAll(base, {&part, 1}, exact)[0] == mixed[i]) << i;
      }
    }
  }
}

std::string NameOf(const testing::TestParamInfo<TurnAdapterCase>& param) {
  std::string name = std::get<0>(param.param);
  std::erase(name, '.');
  return name + "_" + std::to_string(std::get<1>(param.param));
}

class AllMatricesTest : public TurnAdapterTest {};

// Attention has products over the rows of all past tokens, experts over those of some rows.
TEST_P(AllMatricesTest, OfTheLayersCanBeChanged) {
  const test::TemporaryFolder folder;
  const auto path = test::RandomModel(std::get<0>(GetParam()));
  const std::filesystem::path files[] = {WriteForAll(folder / "a.safetensors", path, 1),
                                         WriteForAll(folder / "b.safetensors", path, 2)};
  const Model base = Model::Open(path, Options());
  const auto a = base.LoadAdapter({files[0], 1.0f}), b = base.LoadAdapter({files[1], 0.5f});
  const std::vector<Part> parts = {{Text(7, 1), a.get()},
                                   {Text(9, 2), nullptr},
                                   {Text(1, 3), a.get()},
                                   {Text(30, 4), b.get()},
                                   {Text(4, 5), a.get()}};
  const std::vector<TurnRun> mixed = RunAll(base, parts, false);
  for (size_t i = 0; i < parts.size(); ++i) {
    OpenOptions options = Options();
    if (parts[i].adapter == a.get()) options.adapters = {{files[0], 1.0f}};
    if (parts[i].adapter == b.get()) options.adapters = {{files[1], 0.5f}};
    const Model alone = Model::Open(path, options);
    const Part part{parts[i].tokens, nullptr};
    EXPECT_TRUE(RunAll(alone, {&part, 1}, false)[0] == mixed[i]) << i;
    if (parts[i].adapter != nullptr) {
      EXPECT_FALSE(RunAll(base, {&part, 1}, false)[0] == mixed[i]) << i;
    }
  }
}

// A model that was opened with it rewrote its matrices, which rounds elsewhere.
TEST_P(AllMatricesTest, ADoraIsTheSameInACrowdAndNearlyThatOfAnOpenedModel) {
  const test::TemporaryFolder folder;
  const auto path = test::RandomModel(std::get<0>(GetParam()));
  const auto file = WriteForAll(folder / "dora.safetensors", path, 3, true);
  const auto lora = WriteForAll(folder / "lora.safetensors", path, 4);
  const Model base = Model::Open(path, Options());
  const auto a = base.LoadAdapter({file, 1.0f}), b = base.LoadAdapter({lora, 1.0f});
  const std::vector<Part> parts = {{Text(7, 1), a.get()},
                                   {Text(9, 2), nullptr},
                                   {Text(1, 3), a.get()},
                                   {Text(5, 4), b.get()},
                                   {Text(20, 5), a.get()}};
  for (const bool exact : {false, true}) {
    const std::vector<TurnRun> mixed = RunAll(base, parts, exact);
    for (size_t i = 0; i < parts.size(); ++i) {
      EXPECT_TRUE(RunAll(base, {&parts[i], 1}, exact)[0] == mixed[i]) << i << " " << exact;
    }
    if (!exact || std::get<1>(GetParam()) != 0) continue;
    OpenOptions options = Options();
    options.adapters = {{file, 1.0f}};
    const Model opened = Model::Open(path, options);
    const Part plain{parts[0].tokens, nullptr};
    const auto expected = RunAll(opened, {&plain, 1}, exact)[0].logits;
    const auto without = RunAll(base, {&plain, 1}, exact)[0].logits;
    float error = 0, change = 0;
    for (size_t k = 0; k < expected.size(); ++k) {
      error = std::max(error, std::abs(mixed[0].logits[k] - expected[k]));
      change = std::max(change, std::abs(without[k] - expected[k]));
    }
    EXPECT_LT(error, change / 50);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, TurnAdapterTest,
                         testing::Combine(testing::Values("v4", "v5.2", "v6", "v7", "v7a", "v7b",
                                                          "v6moe"),
                                          testing::Values(0, 1, 2)),
                         NameOf);

INSTANTIATE_TEST_SUITE_P(Models, AllMatricesTest,
                         testing::Combine(testing::Values("v5.2", "v6", "v7", "v7b", "v6moe",
                                                          "goldfinch"),
                                          testing::Values(0, 1, 2)),
                         NameOf);

TEST(TurnAdapterLimits, WhatCannotBeMixedIsRefused) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const Model& model, const AdapterFile& file) {
    try {
      model.LoadAdapter(file);
      ADD_FAILURE() << file.path;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput) << error.what();
    }
  };
  const Model v7 = Model::Open(test::RandomModel("v7"));
  const auto lora = test::WriteLora(folder / "a.safetensors", 1, test::LoraMatrices());
  refused(v7, {lora, std::nullopt});  // no alpha
  refused(v7, {test::TunedState("v7"), 1.0f});
  const auto bone = folder / "bone.safetensors";
  const auto writer =
      TensorWriter::Create(bone, {{"blocks.0.att.key.bone", SourceType::kF32, {32, 4, 4}}});
  writer->AppendFloats(SourceType::kF32, std::vector<float>(32 * 4 * 4, 0.01f));
  writer->Finish();
  refused(v7, {bone, 1.0f});
  // An adapter of another model's weights.
  const Model other = Model::Open(test::RandomModel("v7"));
  const auto adapter = other.LoadAdapter({lora, 1.0f});
  Workspace workspace({.threads = 1});
  State state = v7.NewState();
  const std::array<int32_t, 1> tokens = {1};
  EXPECT_THROW(
      v7.Forward({.tokens = tokens, .state = &state, .logits = {}, .adapter = adapter.get()},
                 workspace),
      Error);
}

}  // namespace
}  // namespace linnet
