// Every generation's answers against the reference implementation's (ChatRWKV, f32).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/rows.h"
#include "linnet/model.h"
#include "models/goldens.h"

namespace linnet {
namespace {

using goldens::Data;

constexpr double kLogits = 2e-4, kStates = 1e-3, kRelatives = 5e-5;

struct Case {
  const char *model, *golden;
  double logits = kLogits, states = kStates;
};

std::ostream& operator<<(std::ostream& os, const Case& c) { return os << c.model; }

class GoldenTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  }
};

void ExpectStates(const State& state, const TensorFile& golden, double tolerance) {
  const auto list = state.ToReference();
  ASSERT_FALSE(list.empty());
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string name = fmt::format("state.{:03}", list[i].number);
    const TensorView* t = golden.Find(name);
    if (t == nullptr && state.shape().generation == Generation::kGoldFinch) return;  // it has none
    ASSERT_NE(t, nullptr) << name;
    EXPECT_EQ(t->shape, list[i].shape) << name;
    if (list[i].is_ids) {
      EXPECT_EQ(t->type, SourceType::kI32) << name;
      EXPECT_EQ(std::memcmp(t->data, list[i].ids.data(), t->elements() * sizeof(int32_t)), 0);
      continue;
    }
    EXPECT_LE(goldens::Error(list[i].values, ReadAll(*t)), tolerance) << name;
  }
}

TEST_P(GoldenTest, LogitsAndStatesAreTheReferences) {
  const auto golden = TensorFile::Open(Data(GetParam().golden));
  const Model model = Model::Open(Data(GetParam().model), {.rows = RowStorage::kF32});
  const auto tokens = goldens::Ids(golden, "tokens");
  const auto expected = ReadAll(*golden.Find("logits"));
  for (const bool exact : {true, false}) {
    Workspace workspace({.threads = 2, .exact = exact});
    State state = model.NewState();
    std::vector<float> logits(tokens.size() * model.config().vocab);
    model.Forward({tokens, &state, logits}, workspace);
    // Rounded activations may cost a few of bf16's 8 bits.
    const double slack = exact ? 1 : 100;
    EXPECT_LE(goldens::Error(logits, expected), GetParam().logits * slack);
    if (GetParam().states == 0) continue;  // the golden has none
    ExpectStates(state, golden, GetParam().states * slack);
  }
}

const Case kFlock{"relatives/random-flock.pth", "relatives/random-flock.golden.safetensors", 5e-5,
                  0};

INSTANTIATE_TEST_SUITE_P(
    Files, GoldenTest,
    testing::Values(
        Case{"golden/random-v4.pth", "golden/random-v4.golden.safetensors"},
        Case{"golden/random-v5.0.pth", "golden/random-v5.0.golden.safetensors"},
        Case{"golden/random-v5.1.pth", "golden/random-v5.1.golden.safetensors"},
        Case{"golden/random-v5.2.pth", "golden/random-v5.2.golden.safetensors"},
        Case{"golden/random-v6.pth", "golden/random-v6.golden.safetensors"},
        Case{"golden/random-v7.pth", "golden/random-v7.golden.safetensors"},
        Case{"golden/random-v7.fla.safetensors", "golden/random-v7.golden.safetensors"},
        Case{"golden/random-v6.webrwkv.st", "golden/random-v6.golden.safetensors", 0.05, 0.05},
        Case{"models/tiny-v4.pth", "models/tiny-v4.golden.safetensors"},
        Case{"models/tiny-v5.0.pth", "models/tiny-v5.0.golden.safetensors"},
        Case{"models/tiny-v5.2.pth", "models/tiny-v5.2.golden.safetensors"},
        Case{"models/tiny-v6.pth", "models/tiny-v6.golden.safetensors"},
        Case{"models/tiny-v7.pth", "models/tiny-v7.golden.safetensors"},
        Case{"relatives/random-v7a.pth", "relatives/random-v7a.golden.safetensors", kRelatives},
        Case{"relatives/random-v7b.pth", "relatives/random-v7b.golden.safetensors", kRelatives},
        Case{"relatives/random-goldfinch.pth", "relatives/random-goldfinch.golden.safetensors",
             kRelatives},
        Case{"relatives/random-goldfinch-1to1.pth",
             "relatives/random-goldfinch-1to1.golden.safetensors", kRelatives},
        kFlock),
    [](const auto& test) {
      std::string name = test.param.model;
      for (char& ch : name) {
        if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
      }
      return name;
    });

class GreedyTest : public testing::TestWithParam<const char*> {};

TEST_P(GreedyTest, ContinuationIsTheReferences) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const std::string name = GetParam();
  const auto golden = TensorFile::Open(Data("models/" + name + ".golden.safetensors"));
  const Model model = Model::Open(Data("models/" + name + ".pth"));
  Workspace workspace({.exact = true});
  State state = model.NewState();
  std::vector<float> logits(model.config().vocab);
  const std::string prompt = "\"in the morning, she said. The ";
  std::vector<int32_t> ids(prompt.begin(), prompt.end()), got;
  const auto expected = goldens::Ids(golden, "greedy");
  while (got.size() < expected.size()) {
    model.Forward({ids, &state, logits}, workspace);
    got.push_back(static_cast<int32_t>(ArgMaxRow(logits.data(), logits.size())));
    ids = {got.back()};
  }
  EXPECT_EQ(got, expected);
}

INSTANTIATE_TEST_SUITE_P(Tiny, GreedyTest,
                         testing::Values("tiny-v4", "tiny-v5.0", "tiny-v5.2", "tiny-v6",
                                         "tiny-v7"));

class TunedStateTest : public testing::TestWithParam<const char*> {};

TEST_P(TunedStateTest, DecodingFromItIsTheReferences) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const std::string name = std::string("golden/random-") + GetParam();
  const auto golden = TensorFile::Open(Data(name + ".state.golden.safetensors"));
  const Model model = Model::Open(Data(name + ".pth"));
  Workspace workspace({.exact = true});
  State state = State::Load(Data(name + ".state.pth"), model.state_shape());
  const auto tokens = goldens::Ids(golden, "tokens");
  std::vector<float> logits(tokens.size() * model.config().vocab);
  model.Forward({tokens, &state, logits}, workspace);
  EXPECT_LE(goldens::Error(logits, ReadAll(*golden.Find("logits"))), kLogits);
}

INSTANTIATE_TEST_SUITE_P(Files, TunedStateTest, testing::Values("v5.2", "v6", "v7"));

}  // namespace
}  // namespace linnet
