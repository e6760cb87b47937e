// Adapters of single turns: whatever they share a pass with, texts have the bits that a model
// opened with the adapter gives.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>
#include <random>

#include "base/scratch_folder.h"
#include "kernels/each_isa.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/test_models.h"

namespace linnet {
namespace {

constexpr size_t kVocab = 320;

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

INSTANTIATE_TEST_SUITE_P(Models, TurnAdapterTest,
                         testing::Combine(testing::Values("v4", "v5.2", "v6", "v7", "v7a"),
                                          testing::Values(0, 1, 2)),
                         [](const auto& param) {
                           std::string name = std::get<0>(param.param);
                           std::erase(name, '.');
                           return name + "_" + std::to_string(std::get<1>(param.param));
                         });

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
  refused(Model::Open(test::RandomModel("v7b")), {lora, 1.0f});
  refused(Model::Open(test::RandomModel("6moe")), {lora, 1.0f});
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
