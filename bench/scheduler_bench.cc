// The scheduler beside plain batches of the same model: scheduler_bench MODEL [THREADS [TURNS]].
//
// First 64 jobs at once, prompts of 64 and answers of 128 tokens, against passes of 64 rows with
// nothing but arg-max, by turns. Then the time between tokens of 8 running texts, before and while
// a prompt of 4000 tokens is read.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "engine/scheduler.h"
#include "kernels/rows.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0
                        : values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

// Counts jobs that ended, and notes when tokens came.
class Counter : public Listener {
 public:
  void OnPrompt(const PromptRead&) override { prompt = Clock::now(); }
  void OnPiece(size_t, const Piece& piece) override {
    for (size_t i = 0; i < piece.tokens.size(); ++i) times.push_back(Clock::now());
  }
  void OnEnd(size_t, const Ending& ending) override { tokens = ending.tokens; }
  void OnDone() override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  void OnError(const Error& error) override {
    fmt::print(stderr, "{}\n", error.what());
    OnDone();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
  }

  std::vector<Clock::time_point> times;
  Clock::time_point prompt;
  size_t tokens = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
};

class SchedulerBench {
 public:
  SchedulerBench(const char* path, size_t threads)
      : model_(Model::Named(path)),
        tokenizer_(TokenizerOf(model_)),
        workspace_({.threads = threads}) {}

  Job NewJob(size_t prompt, size_t answer, bool greedy, uint64_t seed) const {
    Job job;
    for (size_t i = 0; i < prompt; ++i) {
      job.prompt.push_back(
          static_cast<int32_t>((31 * seed + 7 * i + 1) % (model_.config().vocab / 2)));
    }
    job.text = {.max_tokens = answer, .stop_ids = {}};
    job.sampler.seed = seed;
    if (greedy) {
      job.sampler.temperature = 0;
      job.sampler.presence_penalty = job.sampler.frequency_penalty = 0;
    }
    return job;
  }

  // Tokens a second, from the first submission to the last end; and while all texts are written.
  std::pair<double, double> Jobs(size_t count, size_t prompt, size_t answer, bool greedy) {
    Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
    std::vector<std::shared_ptr<Counter>> all;
    const auto start = Clock::now();
    for (size_t i = 0; i < count; ++i) {
      all.push_back(std::make_shared<Counter>());
      scheduler.Submit(NewJob(prompt, answer, greedy, i), all.back());
    }
    size_t tokens = 0;
    for (auto& counter : all) {
      counter->Wait();
      tokens += counter->tokens;
    }
    const double seconds = Since(start);
    Clock::time_point from{}, to = Clock::time_point::max();
    for (auto& counter : all) {
      from = std::max(from, counter->prompt);
      to = std::min(to, counter->times.back());
    }
    size_t inside = 0;
    for (auto& counter : all) {
      inside += static_cast<size_t>(std::count_if(counter->times.begin(), counter->times.end(),
                                                  [&](auto t) { return t > from && t <= to; }));
    }
    const SchedulerStatistics s = scheduler.statistics();
    fmt::print(
        "    passes {} of {:.1f} rows, {:.2f} s: model {:.2f}, other {:.3f}, of it sampling "
        "{:.3f}; "
        "prompts and cache {:.3f}\n",
        s.passes,
        static_cast<double>(s.prompt_rows + s.decode_rows) / static_cast<double>(s.passes), seconds,
        s.pass_s, s.other_s, s.sample_s, s.cache_s);
    const double while_all = std::chrono::duration<double>(to - from).count();
    return {static_cast<double>(tokens) / seconds, static_cast<double>(inside) / while_all};
  }

  // As linnet bench --batch does.
  double Batch(size_t count, size_t steps) {
    const size_t vocab = model_.config().vocab;
    std::vector<State> states;
    std::vector<int32_t> ids;
    for (size_t i = 0; i < count; ++i) {
      states.push_back(model_.NewState());
      ids.push_back(static_cast<int32_t>((31 * i + 1) % vocab));
    }
    std::vector<float> logits(count * vocab);
    std::vector<Turn> turns;
    for (size_t i = 0; i < count; ++i) {
      turns.push_back({{&ids[i], 1}, &states[i], std::span(logits).subspan(i * vocab, vocab)});
    }
    model_.Forward(turns, workspace_);
    const auto start = Clock::now();
    for (size_t step = 0; step < steps; ++step) {
      model_.Forward(turns, workspace_);
      for (size_t i = 0; i < count; ++i) {
        ids[i] = static_cast<int32_t>(ArgMaxRow(turns[i].logits.data(), vocab));
      }
    }
    return static_cast<double>(count * steps) / Since(start);
  }

  void Beside(size_t texts, size_t prompt) {
    Scheduler scheduler(model_, tokenizer_, workspace_, nullptr);
    std::vector<std::shared_ptr<Counter>> all;
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < texts; ++i) {
      all.push_back(std::make_shared<Counter>());
      ids.push_back(scheduler.Submit(NewJob(16, size_t{1} << 20, false, i), all.back()));
    }
    while (scheduler.statistics().written_tokens < 60 * texts) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const auto reader = std::make_shared<Counter>();
    const auto start = Clock::now();
    scheduler.Submit(NewJob(prompt, 1, false, 99), reader);
    reader->Wait();
    const double read = Since(start);
    for (const uint64_t id : ids) scheduler.Cancel(id);
    std::vector<double> before, during;
    for (auto& counter : all) {
      counter->Wait();
      for (size_t i = 10; i < counter->times.size(); ++i) {
        const double gap =
            std::chrono::duration<double>(counter->times[i] - counter->times[i - 1]).count();
        if (counter->times[i] < start) before.push_back(gap);
        if (counter->times[i - 1] > start && counter->times[i] < reader->prompt)
          during.push_back(gap);
      }
    }
    fmt::print(
        "{} texts, ms between tokens, median and p95: {:.1f} {:.1f}; beside a prompt of {} "
        "tokens, which took {:.1f} s: {:.1f} {:.1f}; {:.2f} and {:.2f} times\n",
        texts, 1e3 * Quantile(before, 0.5), 1e3 * Quantile(before, 0.95), prompt, read,
        1e3 * Quantile(during, 0.5), 1e3 * Quantile(during, 0.95),
        Quantile(during, 0.5) / Quantile(before, 0.5),
        Quantile(during, 0.95) / Quantile(before, 0.95));
  }

 private:
  const Model model_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  Workspace workspace_;
};

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: {} MODEL [THREADS [TURNS]]\n", argv[0]);
    return 2;
  }
  const size_t threads = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 2;
  const int turns = argc > 3 ? std::atoi(argv[3]) : 3;
  linnet::SchedulerBench bench(argv[1], threads);
  for (int turn = 0; turn < turns; ++turn) {
    const double batch = bench.Batch(64, 24);
    for (const bool greedy : {true, false}) {
      const auto [whole, all] = bench.Jobs(64, 64, 128, greedy);
      fmt::print(
          "{}: {:.0f} tokens/s, {:.0f} while all write, batches {:.0f}: {:.1f} %, {:.1f} %\n",
          greedy ? "greedy" : "sampled", whole, all, batch, 100 * whole / batch, 100 * all / batch);
    }
  }
  for (int turn = 0; turn < turns; ++turn) bench.Beside(8, 4000);
  return 0;
}
