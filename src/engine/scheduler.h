// Scheduler: many jobs on one model, in shared passes (continuous batching).
#ifndef LINNET_ENGINE_SCHEDULER_H_
#define LINNET_ENGINE_SCHEDULER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/job.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {

class StateCache;  // engine/state_cache.h

struct SchedulerOptions {
  // Sequences whose states are in memory: of all owners, and of one. Jobs beyond wait. 0: three
  // quarters of max_running.
  size_t max_running = 256;
  size_t owner_running = 0;
  // Memory that the states of running sequences may take, rows per token included. 0: half of what
  // is available now. One job runs in any case.
  uint64_t state_bytes = 0;
  // Waiting jobs, of all owners and of one, and the tokens of all their prompts. Beyond, Submit
  // refuses.
  size_t queue = 4096, owner_queue = 1024, queue_tokens = size_t{1} << 24;
  size_t max_choices = 128;
  // Rows of prompts in one pass, at most; and the seconds that a pass should take at most while
  // nothing is being written.
  size_t prompt_rows = 512;
  double prompt_pass_s = 0.25;
  // How long a pass with prompts may take, as a multiple of one without: what the time between
  // tokens of running texts grows by while prompts are read.
  double stretch = 1.6;
  // A state is kept in the cache after every `grid` tokens of a prompt. 0: only at marks and ends.
  size_t grid = 512;
  // Guesses of tokens in a pass, of a text (engine/speculation.h): 0, kAuto or a number, and the
  // model that makes them where the text does not, which may be null. None while many texts run.
  size_t guesses = SpeculationOptions::kAuto;
  std::shared_ptr<const Model> draft{};
};

// Since the start, unless it says now.
struct SchedulerStatistics {
  size_t waiting = 0, waiting_tokens = 0;  // now: jobs in the queue, tokens of their prompts
  size_t reading = 0, writing = 0;         // now: jobs that read their prompt, texts
  size_t places = 0;                       // max_running
  uint64_t state_bytes = 0;                // now: of running sequences
  size_t prompt_budget = 0;                // now: rows that prompts get in a pass
  uint64_t submitted = 0, refused = 0, done = 0, cancelled = 0, failed = 0;  // jobs
  uint64_t passes = 0;
  // Of all passes. Those of texts are tokens, guesses of tokens, and tokens that are run again
  // after a wrong guess.
  uint64_t prompt_rows = 0, decode_rows = 0;
  uint64_t cached_tokens = 0;  // of prompts, not read
  uint64_t written_tokens = 0;
  double pass_s = 0, sample_s = 0, cache_s = 0, other_s = 0;  // the thread's time, in all
  SpeculationCounts speculation{};                            // of texts that have ended
  uint64_t wakeups = 0;  // of the thread; none while nothing is to be done
};

// Runs jobs on a thread of its own, which is the only one that uses the workspace. Each pass has
// one row of every text that is being written, and beside them rows of prompts, shared between
// owners and between the prompts of an owner. A text has the same bits alone or among any others.
// All functions may be called by any thread, also from listeners, except Stop.
class Scheduler {
 public:
  // Keeps references to the model, the workspace and the cache, which may be null.
  Scheduler(const Model& model, std::shared_ptr<const Tokenizer> tokenizer, Workspace& workspace,
            StateCache* cache, const SchedulerOptions& options = {});
  ~Scheduler();  // stops now
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Queues a job and returns its number. The listener lives until its last call was made. Throws
  // Error kBadInput if something in the job is out of range, kBusy if the queue is full or Stop was
  // called; the listener is not called then.
  uint64_t Submit(Job job, std::shared_ptr<Listener> listener);
  // Ends the job at the next pass: OnEnd with kInterrupted for the choices that have not ended,
  // then OnDone. Does nothing if it has ended.
  void Cancel(uint64_t job);
  // Refuses new jobs and fails those that wait with kBusy. Returns when the others have ended; at
  // `until` they are cancelled. Keeps states as always. May be called again, with an earlier time.
  void Stop(std::chrono::steady_clock::time_point until);

  SchedulerStatistics statistics() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_SCHEDULER_H_
