#include "engine/generated_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/logprobs.h"
#include "grammar/constraint.h"
#include "grammar/grammar.h"
#include "models/test_models.h"

namespace linnet {
namespace {

// Tokens with any bytes, also parts of characters and several letters.
class MixedTokenizer : public Tokenizer {
 public:
  MixedTokenizer() {
    static const char* const kBytes[] = {"a",    "ab",       "b|",   "|", "c|a",  "\xc3",
                                         "\xa9", "\xe2\x82", "\xac", "",  "\xff", "x\xe2\x82\xacy"};
    for (size_t i = 0; i < 256; ++i) bytes_.emplace_back(kBytes[i % std::size(kBytes)]);
  }
  std::vector<int32_t> Encode(std::string_view text) const override {
    return std::vector<int32_t>(text.size(), 0);
  }
  std::string_view Bytes(int32_t id) const override { return bytes_[static_cast<size_t>(id)]; }
  size_t size() const override { return bytes_.size(); }
  const char* name() const override { return "mixed"; }

 private:
  std::vector<std::string> bytes_;
};

class GeneratedTextTest : public testing::Test {
 protected:
  GeneratedTextTest() : model_(Model::Open(test::ByteModel("6"))) {}

  void Run(Sequence& sequence) {
    Sequence* const one = &sequence;
    Advance(model_, std::span(&one, 1), 1 << 20, workspace_);
  }

  const Model model_;
  const MixedTokenizer tokenizer_;
  Workspace workspace_{{.threads = 1}};
};

// However the text is cut, pieces join to it, and each token is told once, with the piece in which
// its text begins.
TEST_F(GeneratedTextTest, TokensComeWithTheTextThatTheyBegin) {
  std::mt19937 random(3);
  const std::vector<std::string> some = {"|", "ab", "|a", "y", "b|c", "a|"};
  size_t stopped = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SamplerOptions sampler;
    sampler.top_p = 0;
    sampler.temperature = 2;
    sampler.seed = seed;
    TextOptions options{.want_tokens = true, .want_logprobs = true, .logprobs = 1};
    options.text = {.max_tokens = 1 + random() % 12, .stop_ids = {}};
    if (seed % 2 == 0) options.text.stops = {some[random() % some.size()]};
    if (seed % 5 == 0) options.text.stop_ids = {3, 15, 27, 39};
    Sequence sequence({model_.NewState(), {}}, Sampler(sampler));
    sequence.Feed(std::vector<int32_t>{1});
    GeneratedText text(tokenizer_, options);
    std::vector<int32_t> sampled;
    std::vector<TokenInfo> told;
    std::string shown;
    double logprob = 0;
    while (text.finish() == Finish::kNone) {
      Run(sequence);
      text.Step(sequence, [&](int32_t token, std::span<const float> logits) {
        sampled.push_back(token);
        const bool stop =
            std::count(options.text.stop_ids.begin(), options.text.stop_ids.end(), token) > 0;
        if (!stop) logprob += static_cast<double>(InfoOf(token, logits, 0).logprob);
      });
      if (!text.has_piece()) continue;
      const Piece piece = text.piece();
      EXPECT_TRUE(!piece.text.empty() || text.finish() != Finish::kNone);
      shown += piece.text;
      told.insert(told.end(), piece.tokens.begin(), piece.tokens.end());
      // All tokens that begin in what was shown.
      Utf8Stream stream;
      size_t bytes = 0, begun = 0;
      for (const int32_t token : sampled) {
        if (bytes < shown.size()) ++begun;
        bytes += stream.Push(tokenizer_.Bytes(token)).size();
      }
      if (text.finish() == Finish::kNone) {
        EXPECT_EQ(told.size(), begun);
      }
      text.ClearPiece();
    }
    const Ending ending = text.ending();
    EXPECT_EQ(ending.logprob, logprob);
    ASSERT_LE(told.size(), ending.tokens);
    for (size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i].id, sampled[i]);
    Utf8Stream stream;
    std::string all;
    for (size_t i = 0; i < ending.tokens; ++i) all += stream.Push(tokenizer_.Bytes(sampled[i]));
    all += stream.Finish();
    if (ending.stop.empty()) {
      EXPECT_EQ(shown, all);
      EXPECT_EQ(told.size(), ending.tokens);
    } else {
      ++stopped;
      EXPECT_EQ(ending.stop, options.text.stops[0]);
      EXPECT_EQ(shown, all.substr(0, all.find(ending.stop)));
    }
    EXPECT_EQ(ending.stop_id >= 0, ending.finish == Finish::kStop && ending.stop.empty());
  }
  EXPECT_GT(stopped, 20u);
}

TEST_F(GeneratedTextTest, InterruptTellsWhatWasHeldBack) {
  TextOptions options{.want_tokens = true};
  options.text = {.max_tokens = 100, .stop_ids = {}};
  SamplerOptions sampler;
  sampler.logit_bias[5] = 1000;  // the first byte of a character
  Sequence sequence({model_.NewState(), {}}, Sampler(sampler));
  sequence.Feed(std::vector<int32_t>{1});
  GeneratedText text(tokenizer_, options);
  Run(sequence);
  text.Step(sequence);
  EXPECT_FALSE(text.has_piece());
  text.Interrupt();
  EXPECT_EQ(text.piece().text, "\xef\xbf\xbd");
  EXPECT_EQ(text.piece().tokens.size(), 1u);
  EXPECT_EQ(text.finish(), Finish::kInterrupted);
}

TEST(LogprobsTest, AreThoseOfTheSoftmax) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(1000);
  for (float& x : logits) x = normal(random);
  logits[77] = logits[900] = 20;  // a tie
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  const TokenInfo info = InfoOf(5, logits, 4);
  EXPECT_EQ(info.id, 5);
  EXPECT_NEAR(info.logprob, static_cast<double>(logits[5]) - std::log(sum), 1e-5);
  ASSERT_EQ(info.top.size(), 4u);
  EXPECT_EQ(info.top[0].first, 77);
  EXPECT_EQ(info.top[1].first, 900);
  std::vector<size_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(info.top[i].first, static_cast<int32_t>(order[i]));
    EXPECT_FLOAT_EQ(info.top[i].second, InfoOf(info.top[i].first, logits, 0).logprob);
  }
  EXPECT_EQ(InfoOf(5, std::span(logits).first(10), 50).top.size(), 10u);
}

TEST(BestChoicesTest, HaveTheLargestMeanLogprob) {
  const auto ending = [](size_t tokens, double logprob) {
    return Ending{.finish = Finish::kStop, .tokens = tokens, .logprob = logprob};
  };
  const std::vector<Ending> all = {ending(10, -20), ending(5, -5), ending(4, -40), ending(20, -20),
                                   ending(0, 0)};
  EXPECT_EQ(BestChoices(all, 3), (std::vector<size_t>{4, 1, 3}));
  EXPECT_EQ(BestChoices(all, 9).size(), 5u);
}

// Where the text may end, a token that begins or completes a stop string ends it; elsewhere stop
// strings are text.
TEST_F(GeneratedTextTest, AConstrainedTextEndsAtStopStringsOnlyWhereItIsComplete) {
  const auto trie = std::make_shared<const TokenTrie>(tokenizer_, model_.config().vocab);
  const auto grammar = Grammar::FromGbnf("root ::= \"ab|\" (\"ab\" | \"a\")*", "g");
  size_t at_stop = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SamplerOptions sampler;
    sampler.top_p = 0;
    sampler.temperature = 3;
    sampler.seed = seed;
    Sequence sequence({model_.NewState(), {}}, Sampler(sampler));
    const int32_t start = 1;
    sequence.Feed(std::span(&start, 1));
    Run(sequence);
    GeneratedText text(tokenizer_,
                       {.text = {.max_tokens = 100, .stops = {"|", "c|"}, .stop_ids = {9}},
                        .constraint = Constraint(grammar, trie)});
    std::string all;
    while (text.finish() == Finish::kNone) {
      text.Step(sequence);
      all += text.piece().text;
      text.ClearPiece();
      Run(sequence);
    }
    Constraint whole(grammar, trie);
    EXPECT_TRUE(whole.AcceptBytes(all)) << all;
    EXPECT_TRUE(all.starts_with("ab|")) << all;
    if (text.finish() == Finish::kLength) continue;
    EXPECT_TRUE(whole.may_end());
    const int32_t end = text.ending().stop_id;
    if (end != 9) {
      ++at_stop;
      const auto bytes = tokenizer_.Bytes(end);
      EXPECT_TRUE(bytes == "|" || bytes == "c|a") << bytes;
    }
  }
  EXPECT_GT(at_stop, 10u);
}

}  // namespace
}  // namespace linnet
