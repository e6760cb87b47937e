// What a scheduler does about many callers: order, limits, ends, and failures of one.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "engine/test_jobs.h"
#include "grammar/grammar.h"

namespace linnet {
namespace {

using test::Alone;
using test::Gate;
using test::LetterJob;
using test::Recorder;

using Clock = std::chrono::steady_clock;

constexpr size_t kForever = 1 << 30;

ErrorKind KindOf(const Recorder& recorder) {
  return recorder.error ? recorder.error->kind() : ErrorKind::kIo;
}

class SchedulerLimitsThreadTest : public testing::Test {
 protected:
  SchedulerLimitsThreadTest() : model_(Model::Open(test::LetterModel("7"))) {}

  std::unique_ptr<Scheduler> Start(const SchedulerOptions& options = {},
                                   StateCache* cache = nullptr) {
    return std::make_unique<Scheduler>(model_, tokenizer_, workspace_, cache, options);
  }
  // A job in whose start the scheduler's thread stays until the gate is opened.
  std::shared_ptr<Recorder> Block(Scheduler& scheduler, Gate& gate, const std::string& owner = "") {
    auto blocker = std::make_shared<Recorder>();
    blocker->on_call = [&gate](const std::string& call) {
      if (call == "start") gate.Pass();
    };
    Job job = LetterJob("abc", 5);
    job.owner = owner;
    scheduler.Submit(job, blocker);
    gate.WaitUntilReached();
    return blocker;
  }
  static ErrorKind Refusal(Scheduler& scheduler, const Job& job) {
    try {
      scheduler.Submit(job, std::make_shared<Recorder>());
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kIo;
  }
  void ExpectAlone(const Job& job, const Recorder& got) {
    EXPECT_EQ(got.mistakes, 0);
    EXPECT_FALSE(got.error);
    EXPECT_EQ(got.texts.at(0).text, Alone(model_, tokenizer_, job).text);
  }

  const Model model_;
  const std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::ForVocabulary(256);
  Workspace workspace_{{.threads = 2}};
};

TEST_F(SchedulerLimitsThreadTest, AFailingTextEndsAlone) {
  const auto scheduler = Start();
  std::vector<Job> good;
  std::vector<std::shared_ptr<Recorder>> all, bad;
  const auto submit = [&](const Job& job, auto& to) {
    to.push_back(std::make_shared<Recorder>());
    scheduler->Submit(job, to.back());
  };
  for (uint64_t i = 0; i < 6; ++i) {
    good.push_back(LetterJob("a good one", 40, i));
    submit(good.back(), all);
    Job banned = LetterJob("all tokens are banned", 40);
    for (int32_t id = 0; id < 256; ++id) {
      banned.sampler.logit_bias[id] = -std::numeric_limits<float>::infinity();
    }
    submit(banned, bad);
    Snapshot broken{model_.NewState(), {}};
    broken.state.values()[5] = std::numeric_limits<float>::quiet_NaN();
    Job not_finite = LetterJob("its state is not finite", 40);
    not_finite.start = std::make_shared<const Snapshot>(std::move(broken));
    submit(not_finite, bad);
  }
  for (size_t i = 0; i < good.size(); ++i) ExpectAlone(good[i], all[i]->Wait());
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(KindOf(bad[i]->Wait()), i % 2 == 0 ? ErrorKind::kBadInput : ErrorKind::kBadModel);
    EXPECT_EQ(bad[i]->calls.back(), "error");
    EXPECT_EQ(bad[i]->mistakes, 0);
  }
  scheduler->Stop(Clock::now());
  EXPECT_EQ(scheduler->statistics().failed, bad.size());
  EXPECT_EQ(scheduler->statistics().done, good.size());
}

// A state that outgrows its room is refused by the model before the pass, for all that are in it.
TEST_F(SchedulerLimitsThreadTest, AStateWithoutRoomEndsAlone) {
  const Model model = Model::Open(test::LetterModel("7b"), {.row_limit = 200 << 10});
  const size_t room = (200 << 10) / model.state_shape().token_bytes();
  ASSERT_GT(room, 60u);
  Scheduler scheduler(model, tokenizer_, workspace_, nullptr);
  const Job large = LetterJob("grows", kForever), small = LetterJob("stays small", 40);
  const auto a = std::make_shared<Recorder>(), b = std::make_shared<Recorder>();
  scheduler.Submit(large, a);
  a->WaitFor("piece");
  scheduler.Submit(small, b);
  EXPECT_EQ(KindOf(a->Wait()), ErrorKind::kNoMemory);
  b->Wait();
  EXPECT_EQ(b->texts[0].text, Alone(model, tokenizer_, small).text);
}

TEST_F(SchedulerLimitsThreadTest, WhatAListenerThrowsEndsItsJobOnly) {
  const auto scheduler = Start();
  const auto thrower = std::make_shared<Recorder>(), other = std::make_shared<Recorder>();
  thrower->on_call = [](const std::string& call) {
    if (call == "piece") throw std::runtime_error("a bug");
  };
  scheduler->Submit(LetterJob("abc", kForever), thrower);
  scheduler->Submit(LetterJob("def", 30), other);
  ExpectAlone(LetterJob("def", 30), other->Wait());
  scheduler->Stop(Clock::now() + std::chrono::hours(1));  // returns, so the job has ended
  EXPECT_EQ(thrower->texts[0].pieces, 1u);
}

TEST_F(SchedulerLimitsThreadTest, OwnersTakeTurns) {
  const auto scheduler = Start({.max_running = 2, .owner_running = 2});
  Gate gate;
  std::mutex mutex;
  std::vector<std::string> started;
  std::vector<std::shared_ptr<Recorder>> all = {Block(*scheduler, gate, "many")};
  const auto submit = [&](const std::string& owner) {
    Job job = LetterJob("abc", 5);
    job.owner = owner;
    all.push_back(std::make_shared<Recorder>());
    all.back()->on_call = [&, owner](const std::string& call) {
      const std::lock_guard lock(mutex);
      if (call == "start") started.push_back(owner);
    };
    scheduler->Submit(job, all.back());
  };
  for (int i = 0; i < 30; ++i) submit("many");
  for (int i = 0; i < 4; ++i) submit("few");
  gate.Open();
  for (auto& recorder : all) recorder->Wait();
  // The four of the second owner ran beside four of the first.
  const auto last = std::find(started.rbegin(), started.rend(), "few");
  EXPECT_LE(started.rend() - last, 10);
  EXPECT_EQ(started.size(), 34u);
}

// No owner has all places while others wait for one.
TEST_F(SchedulerLimitsThreadTest, AnOwnerLeavesPlacesToOthers) {
  const auto scheduler = Start({.max_running = 4});
  Gate gate;
  std::vector<std::shared_ptr<Recorder>> all = {Block(*scheduler, gate, "many")};
  for (int i = 0; i < 10; ++i) {
    Job job = LetterJob("abc", kForever);
    job.owner = "many";
    all.push_back(std::make_shared<Recorder>());
    scheduler->Submit(job, all.back());
  }
  Job job = LetterJob("def", 10);
  job.owner = "one";
  const auto one = std::make_shared<Recorder>();
  scheduler->Submit(job, one);
  gate.Open();
  ExpectAlone(job, one->Wait());
  EXPECT_LE(scheduler->statistics().writing, 4u);
}

// A long prompt does not hold up a short one.
TEST_F(SchedulerLimitsThreadTest, PromptsTakeTurns) {
  const auto scheduler = Start({.prompt_rows = 64});
  const auto running = std::make_shared<Recorder>();
  scheduler->Submit(LetterJob("abc", kForever), running);
  running->WaitFor("piece");
  const auto long_one = std::make_shared<Recorder>(), short_one = std::make_shared<Recorder>();
  long_one->on_call = [&](const std::string& call) {
    if (call != "start") return;
    Job job = LetterJob("short", 1);
    scheduler->Submit(job, short_one);
  };
  short_one->on_call = [&](const std::string& call) {
    if (call == "done") {
      EXPECT_EQ(long_one->calls, std::vector<std::string>{"start"});
    }
  };
  scheduler->Submit(LetterJob(std::string(20000, 'x'), 1), long_one);
  ExpectAlone(LetterJob("short", 1), short_one->Wait());
}

TEST_F(SchedulerLimitsThreadTest, QueuesAreBounded) {
  const auto scheduler =
      Start({.max_running = 1, .queue = 3, .owner_queue = 2, .queue_tokens = 100});
  Gate gate;
  const auto blocker = Block(*scheduler, gate);
  std::vector<std::shared_ptr<Recorder>> waiting;
  const auto job = [](const std::string& owner, size_t tokens) {
    Job made = LetterJob(std::string(tokens, 'a'), 2);
    made.owner = owner;
    return made;
  };
  const auto submit = [&](const Job& made) {
    waiting.push_back(std::make_shared<Recorder>());
    scheduler->Submit(made, waiting.back());
  };
  submit(job("a", 30));
  submit(job("a", 30));
  EXPECT_EQ(Refusal(*scheduler, job("a", 1)), ErrorKind::kBusy);
  EXPECT_EQ(Refusal(*scheduler, job("b", 41)), ErrorKind::kBusy);
  submit(job("b", 40));
  EXPECT_EQ(Refusal(*scheduler, job("c", 0)), ErrorKind::kBusy);
  EXPECT_EQ(scheduler->statistics().waiting, 3u);
  EXPECT_EQ(scheduler->statistics().waiting_tokens, 100u);
  EXPECT_EQ(scheduler->statistics().refused, 3u);
  gate.Open();
  for (auto& recorder : waiting) EXPECT_FALSE(recorder->Wait().error);
  EXPECT_EQ(Refusal(*scheduler, job("a", 5)), ErrorKind::kIo);  // there is room again
}

TEST_F(SchedulerLimitsThreadTest, JobsOutOfRangeAreRefused) {
  const auto scheduler = Start({.max_choices = 4});
  Job job = LetterJob("abc", 5);
  job.choices = 5;
  EXPECT_EQ(Refusal(*scheduler, job), ErrorKind::kBadInput);
  job.choices = 0;
  EXPECT_EQ(Refusal(*scheduler, job), ErrorKind::kBadInput);
  job = LetterJob("abc", 5);
  job.prompt.push_back(256);
  EXPECT_EQ(Refusal(*scheduler, job), ErrorKind::kBadInput);
  job = LetterJob("abc", 5);
  job.sampler.top_p = 2;
  EXPECT_EQ(Refusal(*scheduler, job), ErrorKind::kBadInput);
  job = LetterJob("", 5);
  job.embed = true;
  EXPECT_EQ(Refusal(*scheduler, job), ErrorKind::kBadInput);
  job = LetterJob("abc", 5);
  job.grammar = Grammar::FromRegex("[a-c]+");
  job.grammar_prefix = "d";
  EXPECT_EQ(Refusal(*scheduler, job), ErrorKind::kBadInput);
  const Model other = Model::Open(test::LetterModel("4"));
  job = LetterJob("abc", 5);
  job.start = std::make_shared<const Snapshot>(Snapshot{other.NewState(), {}});
  EXPECT_EQ(Refusal(*scheduler, job), ErrorKind::kBadInput);
}

TEST_F(SchedulerLimitsThreadTest, ACancelledJobEndsAsInterrupted) {
  const auto scheduler = Start({.max_running = 1});
  Gate gate;
  const auto blocker = Block(*scheduler, gate);
  Job job = LetterJob("abc", kForever);
  job.choices = 1;
  const auto waiting = std::make_shared<Recorder>(), running = std::make_shared<Recorder>();
  const uint64_t id = scheduler->Submit(job, waiting);
  const uint64_t other = scheduler->Submit(job, running);
  scheduler->Cancel(id);
  scheduler->Cancel(id);
  scheduler->Cancel(12345);  // never given
  gate.Open();
  waiting->Wait();
  EXPECT_EQ(waiting->calls, (std::vector<std::string>{"end", "done"}));
  EXPECT_EQ(waiting->texts[0].ending->finish, Finish::kInterrupted);
  running->WaitFor("piece");
  scheduler->Cancel(other);
  running->Wait();
  EXPECT_EQ(running->texts[0].ending->finish, Finish::kInterrupted);
  EXPECT_EQ(running->calls.back(), "done");
}

TEST_F(SchedulerLimitsThreadTest, ADeadlineFailsWhatWaitsAndEndsWhatRuns) {
  const auto scheduler = Start({.max_running = 1});
  Job endless = LetterJob("abc", kForever);
  endless.deadline = Clock::now() + std::chrono::milliseconds(300);
  const auto running = std::make_shared<Recorder>(), waiting = std::make_shared<Recorder>(),
             reading = std::make_shared<Recorder>();
  scheduler->Submit(endless, running);
  scheduler->Submit(endless, waiting);
  EXPECT_EQ(KindOf(waiting->Wait()), ErrorKind::kBusy);
  running->Wait();
  if (running->error) {  // on a machine that was too busy to begin in time
    EXPECT_EQ(running->texts.count(0), 0u);
  } else {
    EXPECT_EQ(running->texts[0].ending->finish, Finish::kInterrupted);
    EXPECT_GT(running->texts[0].pieces, 0u);
  }
  Job prompt = LetterJob(std::string(100000, 'a'), 5);
  prompt.deadline = Clock::now() + std::chrono::milliseconds(20);
  scheduler->Submit(prompt, reading);
  EXPECT_EQ(KindOf(reading->Wait()), ErrorKind::kBusy);
}

TEST_F(SchedulerLimitsThreadTest, StopEndsWhatRunsAndKeepsItsState) {
  StateCache cache(model_.state_shape(), "test", {});
  const auto scheduler = Start({.max_running = 1}, &cache);
  const Job endless = LetterJob("abc", kForever);
  const auto running = std::make_shared<Recorder>(), waiting = std::make_shared<Recorder>();
  scheduler->Submit(endless, running);
  running->WaitFor("piece");
  scheduler->Submit(endless, waiting);
  scheduler->Stop(Clock::now());
  EXPECT_EQ(Refusal(*scheduler, endless), ErrorKind::kBusy);
  running->Wait();
  EXPECT_EQ(running->texts[0].ending->finish, Finish::kInterrupted);
  EXPECT_EQ(KindOf(waiting->Wait()), ErrorKind::kBusy);
  std::vector<int32_t> whole = endless.prompt;
  for (const TokenInfo& token : running->texts[0].tokens) whole.push_back(token.id);
  whole.push_back('x');
  const auto hit = cache.Find("", whole);
  ASSERT_TRUE(hit);
  EXPECT_GE(hit->tokens, whole.size() - 2);  // the last token may not have been run
}

TEST_F(SchedulerLimitsThreadTest, StopLetsWhatRunsFinishUntilThen) {
  const auto scheduler = Start();
  const auto running = std::make_shared<Recorder>();
  const Job job = LetterJob("abc", 50);
  scheduler->Submit(job, running);
  running->WaitFor("start");
  scheduler->Stop(Clock::now() + std::chrono::hours(1));
  ExpectAlone(job, running->Wait());
}

TEST_F(SchedulerLimitsThreadTest, AnIdleSchedulerDoesNothing) {
  const auto scheduler = Start();
  const auto recorder = std::make_shared<Recorder>();
  scheduler->Submit(LetterJob("abc", 20), recorder);
  recorder->Wait();
  // It settles: between many looks in a row it does not wake up.
  uint64_t wakeups = 0;
  int looks = 0, quiet = 0;
  for (; quiet < 20 && looks < 2000; ++looks) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const uint64_t now = scheduler->statistics().wakeups;
    quiet = now == wakeups ? quiet + 1 : 0;
    wakeups = now;
  }
  EXPECT_EQ(quiet, 20);
  // While it works, it looks for work about once a pass.
  EXPECT_LE(wakeups, scheduler->statistics().passes + 10);
}

TEST_F(SchedulerLimitsThreadTest, BackgroundJobsRunOnlyWhenNothingElseDoes) {
  StateCache cache(model_.state_shape(), "test", {});
  const auto scheduler = Start({.prompt_rows = 16, .grid = 0}, &cache);
  Gate gate;
  const auto blocker = Block(*scheduler, gate);
  Job warm = LetterJob(std::string(5000, 'w'), 0);
  warm.background = true;
  warm.marks = {4000};
  const auto background = std::make_shared<Recorder>();
  scheduler->Submit(warm, background);
  std::vector<std::shared_ptr<Recorder>> others;
  for (uint64_t i = 0; i < 5; ++i) {
    others.push_back(std::make_shared<Recorder>());
    scheduler->Submit(LetterJob("xyz", 30, i), others.back());
    others.back()->on_call = [&](const std::string& call) {
      if (call == "done") {
        EXPECT_TRUE(background->calls.empty());
      }
    };
  }
  gate.Open();
  for (uint64_t i = 0; i < 5; ++i) ExpectAlone(LetterJob("xyz", 30, i), others[i]->Wait());
  // It stands still, too, while a job that came later runs.
  background->WaitFor("start");
  const auto later = std::make_shared<Recorder>();
  scheduler->Submit(LetterJob("later", 30), later);
  ExpectAlone(LetterJob("later", 30), later->Wait());
  background->Wait();
  EXPECT_EQ(background->texts[0].ending->finish, Finish::kLength);
  warm.prompt.push_back('x');
  const auto hit = cache.Find("", warm.prompt);
  ASSERT_TRUE(hit);
  EXPECT_GE(hit->tokens, 4000u);
}

// The second turn of a conversation reads only what is new.
TEST_F(SchedulerLimitsThreadTest, StatesAreKeptAtMarksOnTheGridAndAtTheEnd) {
  StateCache cache(model_.state_shape(), "test", {});
  const auto scheduler = Start({.grid = 100}, &cache);
  PromptRead read;
  const auto cached = [&](const std::string& prompt, const std::vector<size_t>& marks,
                          std::string* text = nullptr) {
    Job job = LetterJob(prompt, 20);
    job.marks = marks;
    const auto recorder = std::make_shared<Recorder>();
    scheduler->Submit(job, recorder);
    recorder->Wait();
    if (text != nullptr) *text = recorder->texts[0].text;
    read = recorder->prompt;
    return read.cached;
  };
  std::string reply;
  const std::string prompt(250, 'p');
  EXPECT_EQ(cached(prompt, {230}, &reply), 0u);
  EXPECT_EQ(read.kept, 230u);
  EXPECT_EQ(cached(prompt + "?", {}), 230u);  // the mark
  EXPECT_EQ(read.kept, 230u);
  EXPECT_EQ(cached(prompt.substr(0, 150) + "?", {}), 100u);    // the grid
  EXPECT_EQ(cached(prompt + reply + "next", {}), 250u + 19u);  // the end but for the last token
  EXPECT_EQ(cached("p", {}), 0u);
  EXPECT_EQ(read.kept, 0u);
}

TEST_F(SchedulerLimitsThreadTest, ListenersMaySubmitAndCancel) {
  const auto scheduler = Start();
  const auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>();
  uint64_t id = 0;
  second->on_call = [&](const std::string& call) {
    if (call == "piece") scheduler->Cancel(id);
  };
  first->on_call = [&](const std::string& call) {
    if (call == "done") id = scheduler->Submit(LetterJob("second", kForever), second);
  };
  scheduler->Submit(LetterJob("first", 3), first);
  first->Wait();
  second->Wait();
  EXPECT_EQ(second->texts[0].ending->finish, Finish::kInterrupted);
}

}  // namespace
}  // namespace linnet
