// The law of speculation: a text is the same bits with guesses and without, whatever is guessed,
// for every generation, format and level, with penalties, mirostat, grammars, stop strings and a
// cache, alone and in a crowd.
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "engine/scheduler.h"
#include "engine/session.h"
#include "engine/state_cache.h"
#include "engine/test_jobs.h"
#include "engine/test_states.h"
#include "grammar/constraint.h"
#include "grammar/grammar.h"
#include "grammar/token_trie.h"
#include "kernels/isa.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using test::Alone;
using test::Expected;
using test::LetterJob;
using test::Recorder;

std::vector<int32_t> IdsOf(const std::vector<TokenInfo>& tokens) {
  std::vector<int32_t> ids;
  for (const TokenInfo& token : tokens) ids.push_back(token.id);
  return ids;
}

class SpeculationBitsTest : public testing::TestWithParam<std::tuple<const char*, DType>> {
 protected:
  Model Open() const {
    OpenOptions options;
    options.quant = std::get<1>(GetParam());
    return Model::Open(test::LetterModel(std::get<0>(GetParam())), options);
  }

  Job RandomJob() {
    std::string prompt(1 + random_() % 30, ' ');
    for (char& c : prompt) c = static_cast<char>('a' + random_() % 4);
    Job job = LetterJob(prompt, 1 + random_() % 40, random_());
    switch (random_() % 4) {
      case 0:
        job.sampler.temperature = 0;
        break;
      case 1:
        job.sampler.mirostat = Mirostat{};
        break;
      case 2:
        job.sampler.temperature = 2;
        job.sampler.top_p = 0;
        break;
      default:
        break;
    }
    if (random_() % 3 == 0) job.text.stops = {"ab", "q", "e f"};
    return job;
  }

  // The text with some tokens changed, left out or put in; or another text.
  std::vector<int32_t> Prediction(const std::vector<int32_t>& text) {
    std::vector<int32_t> prediction;
    const auto kind = random_() % 4;
    for (const int32_t id : text) {
      const auto what = kind == 0 ? 99 : random_() % (kind == 3 ? 2 : 12);
      const auto letter = static_cast<int32_t>('a' + random_() % 26);
      if (what == 0) prediction.push_back(letter);
      if (what == 1) prediction.insert(prediction.end(), {letter, id});
      if (what > 2) prediction.push_back(id);
    }
    if (random_() % 4 == 0) prediction.push_back(9999);  // outside the vocabulary
    return prediction;
  }

  std::mt19937 random_{5};
  const std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::ForVocabulary(256);
};

TEST_P(SpeculationBitsTest, OfASessionAndItsState) {
  const auto draft = std::make_shared<const Model>(Open());
  const auto other = std::make_shared<const Model>(Model::Open(test::LetterModel("7")));
  const auto grammar = Grammar::FromGbnf("root ::= ([a-f]{2} | \"x\" [q-z]+ \" \")*", "g");
  const auto levels = SupportedIsas();
  SpeculationCounts all;
  for (const Isa isa : {levels.front(), levels.back()}) {
    ForceIsa(isa);
    const Model model = Open();
    const auto trie = std::make_shared<const TokenTrie>(*tokenizer_, model.config().vocab);
    for (int i = 0; i < 14; ++i) {
      SCOPED_TRACE(i);
      const Job job = RandomJob();
      std::optional<Constraint> constraint;
      if (i % 3 == 2) constraint.emplace(grammar, trie);
      const auto run = [&](const SpeculationOptions& options, Expected& expected) {
        Workspace workspace({.threads = 1 + random_() % 2});
        Session session(model, *tokenizer_, workspace, {model.NewState(), {}},
                        Sampler(job.sampler, tokenizer_));
        session.Speculate(options);
        session.Feed(job.prompt);
        const auto note = [&](int32_t token, std::span<const float> logits) {
          expected.tokens.push_back(InfoOf(token, logits, job.logprobs));
        };
        Written written = session.Write(job.text, {.sampled = note}, constraint);
        // And on from there.
        session.Feed(std::vector<int32_t>{'a', 'b'});
        expected.text =
            written.text + "|" + session.Write({.max_tokens = 5}, {.sampled = note}).text;
        expected.finish = written.finish;
        std::string state = test::BytesOf(session.Here().state);
        all.Add(session.speculation());
        return state;
      };
      Expected plain;
      const std::string state = run({}, plain);
      const size_t most = i % 2 == 0 ? SpeculationOptions::kAuto : 1 + random_() % 9;
      SpeculationOptions options{.most = most, .prediction = Prediction(IdsOf(plain.tokens))};
      if (i % 4 == 1) options.draft = i % 8 == 1 ? draft : other;
      if (options.draft) options.prediction.clear();
      Expected guessed;
      EXPECT_TRUE(run(options, guessed) == state);
      EXPECT_EQ(guessed.text, plain.text);
      EXPECT_EQ(guessed.finish, plain.finish);
      ASSERT_EQ(guessed.tokens.size(), plain.tokens.size());
      EXPECT_TRUE(test::StartsWith(guessed.tokens, plain.tokens));
    }
  }
  ForceIsa(levels.back());
  // Both happened, or the law says nothing.
  EXPECT_GT(all.accepted, 50u);
  EXPECT_GT(all.guessed, all.accepted + 20);
}

TEST_P(SpeculationBitsTest, OfAServersTexts) {
  const Model model = Open();
  const auto draft = std::make_shared<const Model>(Model::Open(test::LetterModel("7")));
  Workspace workspace({.threads = 2});
  for (const bool cached : {false, true}) {
    for (const size_t crowd : {size_t{1}, size_t{16}}) {
      StateCache cache(model.state_shape(), "test", {});
      Scheduler scheduler(model, tokenizer_, workspace, cached ? &cache : nullptr,
                          {.max_running = crowd,
                           .owner_running = crowd,
                           .grid = 8,
                           .guesses = crowd == 1 ? 3 : SpeculationOptions::kAuto,
                           .draft = cached ? nullptr : draft});
      std::vector<Job> jobs;
      std::vector<Expected> expected;
      std::vector<std::shared_ptr<Recorder>> recorders;
      for (size_t i = 0; i < crowd * 2 + 2; ++i) {
        Job job = RandomJob();
        if (i > 0 && i % 2 == 1) {  // goes on where another ends
          job.prompt = jobs[i - 1].prompt;
          for (const int32_t id : IdsOf(expected[i - 1].tokens)) job.prompt.push_back(id);
        }
        expected.push_back(Alone(model, tokenizer_, job));
        job.prediction = Prediction(IdsOf(expected.back().tokens));
        jobs.push_back(job);
        recorders.push_back(std::make_shared<Recorder>());
        scheduler.Submit(job, recorders.back());
      }
      for (size_t i = 0; i < jobs.size(); ++i) {
        SCOPED_TRACE(i);
        recorders[i]->Wait();
        const test::RecordedText& text = recorders[i]->texts.at(0);
        EXPECT_EQ(recorders[i]->mistakes, 0);
        EXPECT_EQ(text.text, expected[i].text);
        ASSERT_TRUE(text.ending);
        EXPECT_EQ(text.ending->finish, expected[i].finish);
        EXPECT_TRUE(test::StartsWith(expected[i].tokens, text.tokens));
      }
      const SchedulerStatistics all = scheduler.statistics();
      EXPECT_GT(all.speculation.accepted, 0u);
      // A pass that checks guesses has these rows, and that of a token.
      EXPECT_GE(all.decode_rows, all.speculation.passes + all.speculation.guessed);
    }
  }
}

// So that a conversation goes on from there, whatever was guessed at its end.
TEST_P(SpeculationBitsTest, TheStateAtTheEndIsKeptAsWithout) {
  const Model model = Open();
  Workspace workspace({.threads = 2});
  for (int i = 0; i < 12; ++i) {
    SCOPED_TRACE(i);
    Job job = RandomJob();
    const Expected expected = Alone(model, tokenizer_, job);
    job.prediction = Prediction(IdsOf(expected.tokens));
    size_t kept[2] = {};
    for (const size_t guesses : {0, 5}) {
      StateCache cache(model.state_shape(), "test", {});
      Scheduler scheduler(model, tokenizer_, workspace, &cache, {.guesses = guesses});
      const auto got = std::make_shared<Recorder>();
      scheduler.Submit(job, got);
      EXPECT_EQ(got->Wait().texts.at(0).text, expected.text);
      Job next = job;
      next.text.max_tokens = 0;
      for (const int32_t id : IdsOf(expected.tokens)) next.prompt.push_back(id);
      next.prompt.push_back('a');
      const auto read = std::make_shared<Recorder>();
      scheduler.Submit(next, read);
      kept[guesses == 0 ? 0 : 1] = read->Wait().prompt.cached;
    }
    EXPECT_EQ(kept[1], kept[0]);
    EXPECT_GT(kept[0], 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, SpeculationBitsTest,
                         testing::Values(std::tuple("4", DType::kF32),
                                         std::tuple("5.2", DType::kF32),
                                         std::tuple("6", DType::kF32), std::tuple("7", DType::kF32),
                                         std::tuple("7", DType::kBF16),
                                         std::tuple("7", DType::kF16), std::tuple("7", DType::kI8),
                                         std::tuple("7", DType::kNF4),
                                         std::tuple("7b", DType::kF32)),
                         [](const auto& test) {
                           std::string name = "v";
                           for (const char c : std::string(std::get<0>(test.param))) {
                             if (c != '.') name += c;
                           }
                           return name + "_" + Name(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace linnet
