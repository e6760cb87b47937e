// What a scheduler answers: the bits of each text alone, in any company.
#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "base/scratch_folder.h"
#include "engine/state_cache.h"
#include "engine/test_jobs.h"
#include "grammar/constraint.h"
#include "grammar/grammar.h"
#include "grammar/token_trie.h"

namespace linnet {
namespace {

using test::Alone;
using test::Expected;
using test::LetterJob;
using test::Recorder;
using test::StartsWith;

class SchedulerTest : public testing::TestWithParam<const char*> {
 protected:
  SchedulerTest() : model_(Model::Open(test::LetterModel(GetParam()))) {}

  std::string Letters(size_t count) {
    std::string text(count, ' ');
    for (char& c : text) c = static_cast<char>('a' + random_() % 26);
    return text;
  }
  Job RandomJob() {
    Job job = LetterJob(Letters(1 + random_() % 90), 1 + random_() % 40, random_() % 1000);
    if (random_() % 3 == 0) job.sampler.temperature = 0;
    if (random_() % 3 == 0) job.text.stops = {Letters(1), Letters(2)};
    if (random_() % 4 == 0) job.text.stop_ids = {static_cast<int32_t>('a' + random_() % 26)};
    job.owner = std::string(1, static_cast<char>('a' + random_() % 3));
    return job;
  }
  void ExpectAlone(const Job& job, const Recorder& got, bool cancelled = false) {
    const Expected alone = Alone(model_, tokenizer_, job);
    const test::RecordedText& text = got.texts.at(0);
    EXPECT_EQ(got.mistakes, 0);
    ASSERT_TRUE(text.ending);
    EXPECT_TRUE(StartsWith(alone.tokens, text.tokens));
    if (cancelled && text.ending->finish == Finish::kInterrupted) {
      // What was held back is told too, though it could have become a stop string.
      EXPECT_EQ(text.text, tokenizer_->Decode(Ids(text.tokens)));
      return;
    }
    EXPECT_EQ(text.text, alone.text);
    EXPECT_EQ(text.ending->finish, alone.finish);
  }
  static std::vector<int32_t> Ids(const std::vector<TokenInfo>& tokens) {
    std::vector<int32_t> ids;
    for (const TokenInfo& token : tokens) ids.push_back(token.id);
    return ids;
  }

  const Model model_;
  const std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::ForVocabulary(256);
  Workspace workspace_{{.threads = 2}};
  std::mt19937 random_{7};
};

TEST_P(SchedulerTest, ATextHasTheSameBitsAloneOrAmongOthers) {
  constexpr size_t kJobs = 40, kCallers = 3;
  std::vector<Job> jobs;
  for (size_t i = 0; i < kJobs; ++i) jobs.push_back(RandomJob());
  std::vector<std::shared_ptr<Recorder>> recorders(kJobs);
  for (auto& r : recorders) r = std::make_shared<Recorder>();
  const auto cancelled = [](size_t i) { return i % 7 == 3; };
  {
    Scheduler scheduler(model_, tokenizer_, workspace_, nullptr,
                        {.max_running = 9, .prompt_rows = 37});
    std::vector<std::thread> callers;
    for (size_t caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller] {
        for (size_t i = caller; i < kJobs; i += kCallers) {
          const uint64_t id = scheduler.Submit(jobs[i], recorders[i]);
          if (cancelled(i)) {
            if (i % 2 == 0) recorders[i]->WaitFor("piece");
            scheduler.Cancel(id);
          }
          if (i % 5 == 0) recorders[i]->WaitFor("start");
        }
      });
    }
    for (auto& caller : callers) caller.join();
    for (auto& r : recorders) r->Wait();
  }
  for (size_t i = 0; i < kJobs; ++i) {
    SCOPED_TRACE(i);
    ExpectAlone(jobs[i], *recorders[i], cancelled(i));
  }
}

// Conversations whose turns begin where an earlier one ended, at random times, with a cache and
// without.
TEST_P(SchedulerTest, ATextHasTheSameBitsWithACache) {
  StateCache cache(model_.state_shape(), "test", {});
  Scheduler scheduler(model_, tokenizer_, workspace_, &cache, {.prompt_rows = 50, .grid = 32});
  struct Talk {
    std::string text;
    std::vector<size_t> ends;
  };
  std::vector<Talk> talks(5);
  size_t cached = 0;
  for (int round = 0; round < 5; ++round) {
    std::vector<Job> jobs;
    std::vector<std::shared_ptr<Recorder>> recorders;
    for (size_t i = 0; i < talks.size(); ++i) {
      Talk& talk = talks[i];
      if (random_() % 4 == 0 && talk.ends.size() > 1) {  // back to an earlier turn
        talk.ends.resize(1 + random_() % talk.ends.size());
        talk.text.resize(talk.ends.back());
      }
      talk.text += Letters(1 + random_() % 60);
      talk.ends.push_back(talk.text.size());
      Job job = LetterJob(talk.text + ":", 1 + random_() % 20, random_());
      job.marks = talk.ends;
      job.owner = i % 2 == 0 ? "a" : "b";
      job.use_cache = i + 1 < talks.size();
      if (i == 1) job.text.stops = {"e", "ab"};
      recorders.push_back(std::make_shared<Recorder>());
      scheduler.Submit(job, recorders.back());
      jobs.push_back(job);
    }
    for (size_t i = 0; i < talks.size(); ++i) {
      SCOPED_TRACE(i);
      ExpectAlone(jobs[i], recorders[i]->Wait());
      EXPECT_EQ(recorders[i]->prompt.tokens, jobs[i].prompt.size());
      if (!jobs[i].use_cache) {
        EXPECT_EQ(recorders[i]->prompt.cached, 0u);
      }
      cached += recorders[i]->prompt.cached;
      talks[i].text += ":" + recorders[i]->texts[0].text;
    }
  }
  EXPECT_GT(cached, 0u);
}

// States that are only on disk are fetched before the job runs.
TEST_P(SchedulerTest, ATextGoesOnAfterARestart) {
  const test::TemporaryFolder scratch;
  const Job first = LetterJob(Letters(200), 20, 3);
  Job second = first;
  for (const bool again : {false, true}) {
    StateCache cache(model_.state_shape(), "test", {.folder = scratch / "states"});
    Scheduler scheduler(model_, tokenizer_, workspace_, &cache);
    const auto got = std::make_shared<Recorder>();
    const Job& job = again ? second : first;
    scheduler.Submit(job, got);
    ExpectAlone(job, got->Wait());
    EXPECT_EQ(got->prompt.cached, again ? 219u : 0u);
    for (const char c : got->texts[0].text + "and on") second.prompt.push_back(c);
  }
}

TEST_P(SchedulerTest, ChoicesAreRequestsWithTheirSeeds) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  Job job = LetterJob("there and back", 30, 5);
  job.choices = 4;
  job.text.stops = {"ab", "st"};
  const auto all = std::make_shared<Recorder>();
  scheduler.Submit(job, all);
  all->Wait();
  ASSERT_EQ(all->texts.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    Job one = job;
    one.choices = 1;
    one.sampler.seed = 5 + i;
    const Expected expected = Alone(model_, tokenizer_, one);
    EXPECT_EQ(all->texts[i].text, expected.text) << i;
    EXPECT_EQ(all->texts[i].ending->finish, expected.finish);
    EXPECT_TRUE(StartsWith(expected.tokens, all->texts[i].tokens));
  }
  EXPECT_NE(all->texts[0].text, all->texts[1].text);
  EXPECT_EQ(scheduler.statistics().prompt_rows, job.prompt.size());  // read once
}

TEST_P(SchedulerTest, AnEmbeddingIsTheMeanOfThePromptsHiddenStates) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr, {.prompt_rows = 13});
  Job job = LetterJob(Letters(100), 0);
  job.embed = true;
  const auto one = std::make_shared<Recorder>(), other = std::make_shared<Recorder>();
  scheduler.Submit(job, one);
  scheduler.Submit(LetterJob(Letters(70), 20), other);
  one->Wait();
  other->Wait();
  State state = model_.NewState();
  std::vector<double> sums(model_.config().width);
  Workspace workspace({.threads = 1});
  model_.Forward({job.prompt, &state, {}, sums}, workspace);
  ASSERT_EQ(one->embedding.size(), sums.size());
  for (size_t c = 0; c < sums.size(); ++c) {
    EXPECT_EQ(one->embedding[c], static_cast<float>(sums[c] / 100));
  }
  EXPECT_EQ(one->texts[0].ending->finish, Finish::kLength);
  EXPECT_EQ(one->calls, (std::vector<std::string>{"start", "prompt", "embedding", "end", "done"}));
}

TEST_P(SchedulerTest, APromptsProbabilitiesAreThoseOfAllItsLogits) {
  StateCache cache(model_.state_shape(), "test", {});
  Scheduler scheduler(model_, tokenizer_, workspace_, &cache, {.prompt_rows = 50, .grid = 16});
  Job job = LetterJob(Letters(150), 3);
  job.score_prompt = true;
  State state = model_.NewState();
  const size_t vocab = model_.config().vocab;
  std::vector<float> logits(job.prompt.size() * vocab);
  Workspace workspace({.threads = 1});
  model_.Forward({job.prompt, &state, logits}, workspace);
  for (int again = 0; again < 2; ++again) {  // also if the cache knows the prompt
    const auto scored = std::make_shared<Recorder>(), other = std::make_shared<Recorder>();
    scheduler.Submit(job, scored);
    scheduler.Submit(LetterJob(Letters(70), 20), other);
    ExpectAlone(job, scored->Wait());
    other->Wait();
    ASSERT_EQ(scored->prompt_tokens.size(), job.prompt.size());
    EXPECT_EQ(scored->prompt_tokens[0].id, job.prompt[0]);
    EXPECT_TRUE(std::isnan(scored->prompt_tokens[0].logprob));
    for (size_t t = 1; t < job.prompt.size(); ++t) {
      const auto row = std::span(logits).subspan((t - 1) * vocab, vocab);
      EXPECT_TRUE(test::SameBits(scored->prompt_tokens[t], InfoOf(job.prompt[t], row, 2))) << t;
    }
  }
}

// A start in the middle of a text goes on as that text.
TEST_P(SchedulerTest, AJobContinuesFromASnapshot) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  Workspace own({.threads = 1});
  Session reader(model_, *tokenizer_, own, {model_.NewState(), {}}, Sampler(SamplerOptions()));
  reader.Feed(tokenizer_->Encode("once upon a time"));
  const auto start = std::make_shared<const Snapshot>(reader.Here().Clone());
  for (const std::string rest : {"", " there was"}) {
    Job job = LetterJob(rest, 20);
    job.start = start;
    const auto got = std::make_shared<Recorder>();
    scheduler.Submit(job, got);
    got->Wait();
    const Expected whole = Alone(model_, tokenizer_, LetterJob("once upon a time" + rest, 20));
    EXPECT_EQ(got->texts[0].text, whole.text);
    EXPECT_TRUE(StartsWith(whole.tokens, got->texts[0].tokens));
  }
}

TEST_P(SchedulerTest, AnEmptyPromptStartsFromTokenZero) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  const auto got = std::make_shared<Recorder>();
  scheduler.Submit(LetterJob("", 10), got);
  ExpectAlone(LetterJob("", 10), got->Wait());
  EXPECT_EQ(got->prompt.tokens, 1u);
}

// Constrained texts match, also among others, and are those of a session.
TEST_P(SchedulerTest, AConstrainedTextMatchesWhenItEndsByItself) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  const auto grammar = Grammar::FromGbnf("root ::= [a-d] [e-h]{2,5} \" is \" [0-9]", "test");
  const auto trie = std::make_shared<const TokenTrie>(*tokenizer_, model_.config().vocab);
  const std::regex whole("[a-d][e-h]{2,5} is [0-9]");
  size_t complete = 0;
  std::vector<Job> jobs;
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (uint64_t i = 0; i < 30; ++i) {
    Job job = LetterJob(Letters(3), 1 + i, i);
    job.choices = 1 + i % 3;
    if (i % 5 != 0) job.grammar = grammar;
    if (i % 5 == 1) job.grammar_prefix = "ae";
    jobs.push_back(job);
    recorders.push_back(std::make_shared<Recorder>());
    scheduler.Submit(jobs.back(), recorders.back());
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    recorders[i]->Wait();
    for (size_t choice = 0; choice < jobs[i].choices; ++choice) {
      const test::RecordedText& text = recorders[i]->texts.at(choice);
      std::optional<Constraint> constraint;
      if (jobs[i].grammar != nullptr) {
        constraint.emplace(grammar, trie);
        EXPECT_TRUE(constraint->AcceptBytes(jobs[i].grammar_prefix));
      }
      Job one = jobs[i];
      one.sampler.seed += choice;
      EXPECT_EQ(text.text, Alone(model_, tokenizer_, one, constraint).text);
      if (jobs[i].grammar == nullptr || text.ending->finish != Finish::kStop) continue;
      ++complete;
      EXPECT_TRUE(std::regex_match(jobs[i].grammar_prefix + text.text, whole)) << text.text;
    }
  }
  EXPECT_GT(complete, 15u);
}

// A stop id that is a letter ends the text only where the grammar lets it end.
TEST_P(SchedulerTest, AStopIdWaitsForTheGrammar) {
  Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (uint64_t i = 0; i < 20; ++i) {
    Job job = LetterJob("abc", 50, i);
    job.grammar = Grammar::FromGbnf("root ::= [abz]{3,6}", "test");
    job.text.stop_ids = {'z'};
    job.sampler.logit_bias['z'] = 2;
    recorders.push_back(std::make_shared<Recorder>());
    scheduler.Submit(job, recorders.back());
  }
  size_t early = 0;
  for (auto& recorder : recorders) {
    const test::RecordedText& text = recorder->Wait().texts.at(0);
    EXPECT_TRUE(std::regex_match(text.text, std::regex("[ab]{3,6}"))) << text.text;
    EXPECT_EQ(text.ending->finish, Finish::kStop);
    if (text.ending->stop_id == 'z') ++early;
  }
  EXPECT_GT(early, 0u);
}

// With attention, whose states grow, too. Those named Threads run under ThreadSanitizer as well.
INSTANTIATE_TEST_SUITE_P(Threads, SchedulerTest, testing::Values("7", "7b"));
INSTANTIATE_TEST_SUITE_P(Others, SchedulerTest, testing::Values("4", "5.2", "6"));

}  // namespace
}  // namespace linnet
