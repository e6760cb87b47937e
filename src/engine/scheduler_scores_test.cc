// Log-probabilities of continuations: those of all logits, in any company.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "engine/test_jobs.h"
#include "kernels/rows.h"

namespace linnet {
namespace {

using test::Alone;
using test::Gate;
using test::LetterJob;
using test::Recorder;

class ScoreRecorder : public Recorder {
 public:
  void OnContinuation(size_t index, const ContinuationScore& score) override {
    if (!scores.emplace(index, score).second) ++mistakes;
    if (on_score) on_score();
  }
  std::map<size_t, ContinuationScore> scores;
  std::function<void()> on_score;
};

std::vector<int32_t> TokensIn(const std::string& text) { return {text.begin(), text.end()}; }

class SchedulerScoresTest : public testing::TestWithParam<const char*> {
 protected:
  SchedulerScoresTest() : model_(Model::Open(test::LetterModel(GetParam()))) {}

  std::string Letters(size_t count) {
    std::string text(count, ' ');
    for (char& c : text) c = static_cast<char>('a' + random_() % 26);
    return text;
  }
  // Of one, few and many tokens, and one that is empty.
  Job ScoreJob(const std::string& prompt, size_t count) {
    Job job;
    job.prompt = TokensIn(prompt);
    job.logprobs = 2;
    for (size_t i = 0; i < count; ++i) {
      const size_t lengths[] = {1, 3, 0, 70, 7};
      job.continuations.push_back(TokensIn(Letters(lengths[i % std::size(lengths)])));
    }
    return job;
  }

  // By one pass over prompt and continuation that keeps all logits.
  ContinuationScore Expect(const Job& job, const std::vector<int32_t>& continuation) {
    std::vector<int32_t> whole = job.prompt;
    if (whole.empty()) whole.push_back(0);
    const size_t begin = whole.size();
    whole.insert(whole.end(), continuation.begin(), continuation.end());
    const size_t vocab = model_.config().vocab;
    std::vector<float> logits(whole.size() * vocab);
    State state = model_.NewState();
    Workspace workspace({.threads = 1});
    model_.Forward({whole, &state, logits}, workspace);
    ContinuationScore score;
    for (size_t t = begin; t < whole.size(); ++t) {
      const auto row = std::span(logits).subspan((t - 1) * vocab, vocab);
      score.tokens.push_back(InfoOf(whole[t], row, job.logprobs));
      score.logprob += static_cast<double>(score.tokens.back().logprob);
      score.greedy = score.greedy && ArgMaxRow(row.data(), vocab) == static_cast<size_t>(whole[t]);
    }
    return score;
  }
  void ExpectScores(const Job& job, const ScoreRecorder& got) {
    EXPECT_EQ(got.mistakes, 0);
    EXPECT_FALSE(got.error);
    ASSERT_EQ(got.scores.size(), job.continuations.size());
    for (size_t i = 0; i < job.continuations.size(); ++i) {
      const ContinuationScore expected = Expect(job, job.continuations[i]);
      const ContinuationScore& score = got.scores.at(i);
      EXPECT_EQ(score.tokens.size(), expected.tokens.size());
      EXPECT_TRUE(test::StartsWith(expected.tokens, score.tokens)) << i;
      EXPECT_EQ(score.logprob, expected.logprob) << i;
      EXPECT_EQ(score.greedy, expected.greedy) << i;
    }
    EXPECT_EQ(got.texts.at(0).ending->finish, Finish::kLength);
  }

  const Model model_;
  const std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::ForVocabulary(256);
  Workspace workspace_{{.threads = 2}};
  std::mt19937 random_{11};
};

TEST_P(SchedulerScoresTest, ScoresAreThoseOfAllLogitsAlone) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr, {.prompt_rows = 50});
  const Job job = ScoreJob(Letters(90), 20);
  const auto got = std::make_shared<ScoreRecorder>();
  scheduler.Submit(job, got);
  got->Wait();
  ExpectScores(job, *got);
  EXPECT_EQ(got->calls, (std::vector<std::string>{"start", "prompt", "end", "done"}));
  // The prompt is read once, and the last token of a continuation is not read.
  size_t rows = job.prompt.size();
  for (const auto& tokens : job.continuations) rows += std::max<size_t>(tokens.size(), 1) - 1;
  EXPECT_EQ(scheduler.statistics().prompt_rows, rows);
}

// Beside texts, prompts that are scored and other such jobs, with a cache that knows some prompts.
TEST_P(SchedulerScoresTest, ScoresAreTheSameInACrowdAndWithACache) {
  StateCache cache(model_.state_shape(), "test", {});
  Scheduler scheduler(model_, tokenizer_, workspace_, &cache,
                      {.max_running = 11, .prompt_rows = 37, .grid = 16});
  const std::string shared = Letters(60);
  std::vector<Job> jobs;
  std::vector<std::shared_ptr<ScoreRecorder>> got;
  std::vector<std::shared_ptr<Recorder>> others;
  size_t cached = 0;
  for (int round = 0; round < 2; ++round) {
    const size_t first = jobs.size();
    for (size_t i = 0; i < 4; ++i) {
      Job job = ScoreJob(shared + Letters(random_() % 40), 1 + random_() % 12);
      job.owner = i % 2 == 0 ? "a" : "b";
      job.marks = {job.prompt.size()};
      jobs.push_back(job);
      got.push_back(std::make_shared<ScoreRecorder>());
      scheduler.Submit(job, got.back());
      Job other = LetterJob(Letters(40), 20, i);
      other.score_prompt = i % 2 == 0;
      others.push_back(std::make_shared<Recorder>());
      scheduler.Submit(other, others.back());
    }
    for (size_t i = first; i < jobs.size(); ++i) {
      SCOPED_TRACE(i);
      got[i]->Wait();
      ExpectScores(jobs[i], *got[i]);
      cached += got[i]->prompt.cached;
    }
  }
  for (const auto& other : others) other->Wait();
  EXPECT_GT(cached, 0u);
}

TEST_P(SchedulerScoresTest, AnEmptyPromptIsTokenZeroAndASnapshotGoesOn) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  const Job empty = ScoreJob("", 5);
  const auto first = std::make_shared<ScoreRecorder>();
  scheduler.Submit(empty, first);
  first->Wait();
  ExpectScores(empty, *first);
  const Job whole = ScoreJob("once upon a time", 5);
  Workspace own({.threads = 1});
  Session reader(model_, *tokenizer_, own, {model_.NewState(), {}}, Sampler(SamplerOptions()));
  reader.Feed(std::span(whole.prompt).first(9));
  for (const size_t read : {size_t{9}, whole.prompt.size()}) {
    if (read > 9) reader.Feed(std::span(whole.prompt).subspan(9));
    Job rest = whole;
    rest.start = std::make_shared<const Snapshot>(reader.Here().Clone());
    rest.prompt.erase(rest.prompt.begin(), rest.prompt.begin() + static_cast<ptrdiff_t>(read));
    const auto got = std::make_shared<ScoreRecorder>();
    scheduler.Submit(rest, got);
    got->Wait();
    ExpectScores(whole, *got);
  }
}

// What greedy decoding writes is greedy, and another last token is not.
TEST_P(SchedulerScoresTest, TheLikeliestTextIsGreedy) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  Job text = LetterJob("there was a", 12);
  text.sampler.temperature = 0;
  text.sampler.presence_penalty = text.sampler.frequency_penalty = 0;
  const auto written = std::make_shared<Recorder>();
  scheduler.Submit(text, written);
  written->Wait();
  Job job;
  job.prompt = text.prompt;
  job.continuations.resize(2);
  for (const TokenInfo& token : written->texts[0].tokens) {
    for (auto& tokens : job.continuations) tokens.push_back(token.id);
  }
  job.continuations[1].back() = '~';
  const auto got = std::make_shared<ScoreRecorder>();
  scheduler.Submit(job, got);
  got->Wait();
  EXPECT_TRUE(got->scores.at(0).greedy);
  EXPECT_FALSE(got->scores.at(1).greedy);
  EXPECT_GT(got->scores.at(0).logprob, got->scores.at(1).logprob);
}

// What a text ended at is told with its probability, too.
TEST_P(SchedulerScoresTest, TheIdThatEndsATextHasItsProbability) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  Job job = LetterJob("once upon a time", 60);
  for (int32_t id = 'a'; id <= 'm'; ++id) job.text.stop_ids.push_back(id);
  const auto got = std::make_shared<Recorder>(), plain = std::make_shared<Recorder>();
  scheduler.Submit(job, got);
  const test::Expected alone = Alone(model_, tokenizer_, job);
  const Ending ending = *got->Wait().texts.at(0).ending;
  ASSERT_EQ(ending.finish, Finish::kStop);
  ASSERT_TRUE(ending.stop_info);
  EXPECT_TRUE(test::SameBits(*ending.stop_info, alone.tokens.back()));
  EXPECT_EQ(ending.stop_info->id, ending.stop_id);
  job.want_logprobs = false;
  scheduler.Submit(job, plain);
  EXPECT_FALSE(plain->Wait().texts.at(0).ending->stop_info);
}

INSTANTIATE_TEST_SUITE_P(Threads, SchedulerScoresTest, testing::Values("7"));
INSTANTIATE_TEST_SUITE_P(Others, SchedulerScoresTest,
                         testing::Values("4", "5.2", "6", "7b", "goldfinch"));

class SchedulerScoresLimitsThreadTest : public testing::Test {
 protected:
  const Model model_ = Model::Open(test::LetterModel("7"));
  const std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::ForVocabulary(256);
  Workspace workspace_{{.threads = 2}};
};

// At most eight states beside that of the prompt, however many continuations there are.
TEST_F(SchedulerScoresLimitsThreadTest, FewStatesAreInMemoryAtATime) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  Job job;
  job.prompt = TokensIn("abc");
  job.continuations.assign(200, TokensIn("some words"));
  const uint64_t state = model_.state_shape().floats() * sizeof(float);
  uint64_t most = 0;
  const auto got = std::make_shared<ScoreRecorder>();
  got->on_score = [&] { most = std::max(most, scheduler.statistics().state_bytes); };
  scheduler.Submit(job, got);
  got->Wait();
  EXPECT_EQ(got->scores.size(), 200u);
  EXPECT_GT(most, state);
  EXPECT_LE(most, 9 * state);
}

TEST_F(SchedulerScoresLimitsThreadTest, ACancelledJobEndsAndOthersGoOn) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  Job job;
  job.prompt = TokensIn("abc");
  job.continuations.assign(2000, TokensIn(std::string(200, 'x')));
  const auto got = std::make_shared<ScoreRecorder>();
  const auto other = std::make_shared<Recorder>();
  uint64_t id = 0;
  Gate gate;
  got->on_call = [&](const std::string& call) {
    if (call == "start") gate.Pass();
  };
  got->on_score = [&] { scheduler.Cancel(id); };
  id = scheduler.Submit(job, got);
  gate.WaitUntilReached();
  scheduler.Submit(LetterJob("abc", 20), other);
  gate.Open();
  got->Wait();
  EXPECT_EQ(got->texts.at(0).ending->finish, Finish::kInterrupted);
  EXPECT_LT(got->scores.size(), 100u);
  EXPECT_EQ(got->mistakes, 0);
  EXPECT_EQ(other->Wait().texts.at(0).text, Alone(model_, tokenizer_, LetterJob("abc", 20)).text);
}

TEST_F(SchedulerScoresLimitsThreadTest, WhatIsOutOfRangeIsRefused) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr, {.queue_tokens = 100});
  const auto refusal = [&](const Job& job) {
    try {
      scheduler.Submit(job, std::make_shared<Recorder>());
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kIo;
  };
  Job job;
  job.prompt = {1};
  job.continuations = {{1, 256}};
  EXPECT_EQ(refusal(job), ErrorKind::kBadInput);
  job.continuations = {{-1}};
  EXPECT_EQ(refusal(job), ErrorKind::kBadInput);
  job.continuations.assign(65537, {1});
  EXPECT_EQ(refusal(job), ErrorKind::kBadInput);
  job.continuations = {{1}};
  job.choices = 2;
  EXPECT_EQ(refusal(job), ErrorKind::kBadInput);
  job.choices = 1;
  job.continuations.assign(10, std::vector<int32_t>(10, 5));  // with the prompt one too many
  EXPECT_EQ(refusal(job), ErrorKind::kBusy);
}

}  // namespace
}  // namespace linnet
