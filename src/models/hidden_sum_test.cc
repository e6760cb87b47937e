// Turn::hidden_sum: the same bits for any chunks, company and number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "linnet/error.h"
#include "linnet/model.h"
#include "models/test_models.h"

namespace linnet {
namespace {

std::vector<int32_t> Text(size_t tokens, size_t step) {
  std::vector<int32_t> ids(tokens);
  for (size_t i = 0; i < tokens; ++i) ids[i] = static_cast<int32_t>(step * i * i % 320);
  return ids;
}

class HiddenSumTest : public testing::TestWithParam<const char*> {
 protected:
  HiddenSumTest() : model_(Model::Open(test::RandomModel(GetParam()))) {}

  std::vector<double> InChunks(std::span<const int32_t> ids, size_t chunk, Workspace& workspace) {
    State state = model_.NewState();
    std::vector<double> sums(model_.config().width);
    for (size_t at = 0; at < ids.size(); at += chunk) {
      const auto part = ids.subspan(at, std::min(chunk, ids.size() - at));
      model_.Forward({part, &state, {}, sums}, workspace);
    }
    return sums;
  }

  const Model model_;
};

TEST_P(HiddenSumTest, DependsOnTheTextAlone) {
  const auto ids = Text(130, 7), other = Text(90, 11);
  Workspace one({.threads = 1}), two({.threads = 2, .max_rows = 37});
  const auto whole = InChunks(ids, ids.size(), one);
  EXPECT_NE(whole, std::vector<double>(whole.size()));
  EXPECT_EQ(InChunks(ids, 1, one), whole);
  EXPECT_EQ(InChunks(ids, 17, two), whole);

  // Among others, with logits and without.
  State a = model_.NewState(), b = model_.NewState(), c = model_.NewState();
  std::vector<float> logits(model_.config().vocab);
  std::vector<double> sums(whole.size()), sums_of_other(whole.size());
  const Turn turns[] = {{other, &a, {}, sums_of_other}, {ids, &b, logits, sums}, {other, &c, {}}};
  model_.Forward(turns, two);
  EXPECT_EQ(sums, whole);
  EXPECT_EQ(sums_of_other, InChunks(other, 64, one));
}

// With the unit matrix as head, logits are hidden states.
TEST_P(HiddenSumTest, IsWhatTheHeadReads) {
  constexpr size_t kWidth = 128;
  const auto path = test::Once(std::string("unit-head-") + GetParam() + ".pth", [](const auto& to) {
    const auto generation = test::GenerationOf(GetParam());
    test::WriteRandomModel({.generation = generation,
                            .layers = 3,
                            .width = kWidth,
                            .vocab = 320,
                            .experts = test::ExpertsOf(generation)},
                           SourceType::kF32, to, [](const auto& name, auto& values) {
                             if (name != "head.weight") return;
                             std::fill(values.begin(), values.end(), 0.0f);
                             for (size_t i = 0; i < kWidth; ++i) values[i * kWidth + i] = 1;
                           });
  });
  const Model model = Model::Open(path);
  Workspace workspace({.threads = 1, .exact = true});
  State state = model.NewState();
  const auto ids = Text(5, 7);
  std::vector<float> logits(5 * model.config().vocab);
  std::vector<double> sums(kWidth), expected(kWidth);
  model.Forward({ids, &state, logits, sums}, workspace);
  for (size_t t = 0; t < ids.size(); ++t) {
    for (size_t c = 0; c < kWidth; ++c) {
      expected[c] += static_cast<double>(logits[t * model.config().vocab + c]);
    }
  }
  EXPECT_EQ(sums, expected);
}

TEST_P(HiddenSumTest, OfAnotherSizeIsRefused) {
  Workspace workspace({.threads = 1});
  State state = model_.NewState();
  std::vector<double> sums(model_.config().width + 1);
  const int32_t id = 1;
  EXPECT_THROW(model_.Forward({{&id, 1}, &state, {}, sums}, workspace), Error);
}

INSTANTIATE_TEST_SUITE_P(All, HiddenSumTest,
                         testing::Values("4", "5.2", "6", "7", "7a", "7b", "6moe"));

}  // namespace
}  // namespace linnet
