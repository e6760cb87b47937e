#include "eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/test_models.h"

namespace linnet {
namespace {

const std::string kText = "The morning was clear. She said that the boat would come, and it did.";

// Token by token, the plainest way.
TextScore ByHand(const Model& model, const Tokenizer& tokenizer, size_t chunk) {
  Workspace workspace({.threads = 1});
  State state = model.NewState();
  std::vector<float> logits(model.config().vocab);
  TextScore score;
  const auto ids = tokenizer.Encode(kText);
  int32_t before = 0;
  for (size_t t = 0; t < ids.size(); ++t) {
    const bool starts = chunk != 0 && t % chunk == 0;
    if (starts) state.Reset();
    if (!starts) {
      model.Forward({{&before, 1}, &state, logits}, workspace);
      double sum = 0;
      for (const float x : logits) sum += std::exp(double{x});
      score += {std::log(sum) - logits[static_cast<size_t>(ids[t])], 1, 1};
    }
    before = ids[t];
  }
  return score;
}

TEST(Perplexity, IsTheSumOverTokensOneByOne) {
  const Model model = Model::Open(test::ByteModel("v5.2"));
  const auto bytes = Tokenizer::ForVocabulary(model.config().vocab);
  Workspace workspace;
  for (const size_t chunk : {0, 7, 69, 1000}) {
    const TextScore expected = ByHand(model, *bytes, chunk);
    PerplexityOptions options;
    options.chunk = chunk;
    const TextScore got = ScoreText(model, *bytes, workspace, kText, options);
    EXPECT_EQ(got.tokens, expected.tokens);
    EXPECT_EQ(got.bytes, expected.bytes);
    EXPECT_NEAR(got.nats, expected.nats, 1e-6 * expected.nats);
    EXPECT_NEAR(got.bits_per_byte(), expected.nats / std::log(2.0) / static_cast<double>(got.bytes),
                1e-6);
  }
}

TEST(Perplexity, OfNothingIsNothing) {
  const Model model = Model::Open(test::ByteModel("v4"));
  Workspace workspace;
  const TextScore score =
      ScoreText(model, *Tokenizer::ForVocabulary(model.config().vocab), workspace, "");
  EXPECT_EQ(score.tokens, 0u);
}

}  // namespace
}  // namespace linnet
