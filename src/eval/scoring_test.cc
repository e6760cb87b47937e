#include "eval/scoring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "linnet/error.h"
#include "models/test_models.h"

namespace linnet {
namespace {

// Token by token, one request after the other: the plainest way.
TokenScore ScoredByHand(const Model& model, Workspace& workspace, const TokenRequest& request) {
  State state = model.NewState();
  std::vector<float> logits(model.config().vocab);
  TokenScore score;
  for (size_t t = 0; t + 1 < request.tokens.size(); ++t) {
    model.Forward({{&request.tokens[t], 1}, &state, logits}, workspace);
    if (t + 1 < request.scored) continue;
    double sum = 0;
    for (const float x : logits) sum += std::exp(double{x});
    const auto target = static_cast<size_t>(request.tokens[t + 1]);
    score.logprob += logits[target] - std::log(sum);
    if (std::max_element(logits.begin(), logits.end()) - logits.begin() !=
        static_cast<std::ptrdiff_t>(target))
      score.greedy = false;
  }
  return score;
}

// Contexts that are equal, begin alike, or are the beginning of others; continuations of all
// lengths, also none, also alike.
std::vector<TokenRequest> ManyRequests(size_t vocab) {
  std::vector<TokenRequest> out;
  uint32_t random = 7;
  const auto next = [&](size_t below) {
    random = random * 1664525u + 1013904223u;
    return static_cast<size_t>(random >> 8) % below;
  };
  std::vector<int32_t> common;
  for (int i = 0; i < 40; ++i) common.push_back(static_cast<int32_t>(next(vocab)));
  for (int i = 0; i < 60; ++i) {
    TokenRequest request;
    const size_t shared = next(4) == 0 ? 0 : 1 + next(common.size());
    request.tokens.assign(common.begin(), common.begin() + static_cast<std::ptrdiff_t>(shared));
    const size_t own = next(30);
    for (size_t t = 0; t < own; ++t)
      request.tokens.push_back(static_cast<int32_t>(next(next(3) == 0 ? 2 : vocab)));
    if (request.tokens.empty()) request.tokens.push_back(1);
    request.scored = 1 + next(request.tokens.size());
    out.push_back(request);
    if (next(3) == 0) out.push_back(request);
    if (next(3) == 0 && request.scored < request.tokens.size()) {  // another choice
      request.tokens.resize(request.scored);
      for (size_t t = next(5) + 1; t > 0; --t)
        request.tokens.push_back(static_cast<int32_t>(next(vocab)));
      out.push_back(request);
    }
  }
  // Longer than a pass, scored as a whole.
  TokenRequest text;
  for (int i = 0; i < 300; ++i) text.tokens.push_back(static_cast<int32_t>(next(vocab)));
  out.push_back(text);
  return out;
}

class ScoringTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ScoringTest, IsTheSumOverTokensOneByOne) {
  const Model model = Model::Open(test::RandomModel(GetParam()));
  Workspace workspace({.threads = 2});
  const auto requests = ManyRequests(model.config().vocab);
  const auto scores = ScoreContinuations(model, workspace, requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    const TokenScore wanted = ScoredByHand(model, workspace, requests[i]);
    EXPECT_NEAR(scores[i].logprob, wanted.logprob, 1e-5 * (1 + std::abs(wanted.logprob))) << i;
    EXPECT_EQ(scores[i].greedy, wanted.greedy) << i;
  }
}

TEST_P(ScoringTest, IsTheSameInAnyCompanyAndOnAnyThreads) {
  const Model model = Model::Open(test::RandomModel(GetParam()));
  const auto requests = ManyRequests(model.config().vocab);
  Workspace workspace({.threads = 1});
  const auto expected = ScoreContinuations(model, workspace, requests);
  for (const ScoringOptions& options :
       {ScoringOptions{.rows = 1}, ScoringOptions{.rows = 7, .logit_rows = 1},
        ScoringOptions{.rows = 4096, .logit_rows = 4096},
        ScoringOptions{.rows = 64, .logit_rows = 3, .state_bytes = 1}}) {
    Workspace other({.threads = 3});
    const auto scores = ScoreContinuations(model, other, requests, options);
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(scores[i].logprob, expected[i].logprob) << i;
      EXPECT_EQ(scores[i].greedy, expected[i].greedy) << i;
    }
  }
  for (size_t i = 0; i < requests.size(); i += 9) {
    EXPECT_EQ(ScoreContinuations(model, workspace, std::span(requests).subspan(i, 1))[0].logprob,
              expected[i].logprob)
        << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, ScoringTest, ::testing::Values("4", "6", "7", "7b"),
                         [](const auto& test) { return std::string("v") + test.param; });

TEST(ScoringTreeTest, ReadsSharedContextsOnceAndTellsAllScores) {
  const Model model = Model::Open(test::ByteModel("v7"));
  Workspace workspace({.threads = 1});
  std::vector<TokenRequest> requests;
  for (int32_t choice = 0; choice < 4; ++choice) {
    TokenRequest request{.tokens = std::vector<int32_t>(100, 65), .scored = 100};
    for (int32_t t = 0; t < 3; ++t) request.tokens.push_back(66 + choice);
    requests.push_back(request);
  }
  size_t all = 0, told = 0;
  ScoringOptions options;
  options.progress = [&](size_t, size_t total) { all = total; };
  options.scored = [&](size_t, const TokenScore&) { ++told; };
  ScoreContinuations(model, workspace, requests, options);
  EXPECT_EQ(all, 100u + 4 * 2);  // the last token of each predicts nothing
  EXPECT_EQ(told, 4u);
}

TEST(ScoringTreeTest, RefusesWhatTheModelCannotRead) {
  const Model model = Model::Open(test::ByteModel("v7"));
  Workspace workspace({.threads = 1});
  EXPECT_THROW(ScoreContinuations(model, workspace, std::vector<TokenRequest>{{{1, 256}, 1}}),
               Error);
  EXPECT_THROW(ScoreContinuations(model, workspace, std::vector<TokenRequest>{{{1, 2}, 0}}), Error);
}

TEST(EncodePairTest, DividesAsTheHarness) {
  const auto bytes = Tokenizer::ForVocabulary(256);
  const std::vector<int32_t> pad = {10}, none;
  const auto expect = [&](std::span<const int32_t> before, const char* context,
                          const char* continuation, std::vector<int32_t> tokens, size_t scored) {
    const TokenRequest got = EncodePair(*bytes, before, context, continuation);
    EXPECT_EQ(got.tokens, tokens) << context << "|" << continuation;
    EXPECT_EQ(got.scored, scored) << context << "|" << continuation;
  };
  expect(none, "ab", " c", {'a', 'b', ' ', 'c'}, 2);
  expect(pad, "ab", " c", {10, 'a', 'b', ' ', 'c'}, 3);
  expect(none, "a \n", "c", {'a', ' ', '\n', 'c'}, 1);  // blanks belong to the continuation
  expect(none, "", "c", {0, 'c'}, 1);
  expect(pad, "", "c", {10, 'c'}, 1);
  expect(none, "", "", {0}, 1);
  expect(none, "ab", "", {'a', 'b'}, 2);
}

}  // namespace
}  // namespace linnet
