// RunningJobs: the jobs that left the queue, and the passes that they share.
#ifndef LINNET_ENGINE_RUNNING_JOBS_H_
#define LINNET_ENGINE_RUNNING_JOBS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/prompt_budget.h"
#include "engine/running_job.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"
#include "linnet/error.h"
#include "linnet/state.h"

namespace linnet {

// Used by one thread, on which listeners are called.
class RunningJobs {
 public:
  // `options` without zeros that stand for a default. Keeps a reference to the context.
  RunningJobs(const JobContext& context, const SchedulerOptions& options);

  bool empty() const { return jobs_.empty(); }
  size_t TextsOf(const std::string& owner) const;  // that run, or will when the prompt was read
  // Whether there is a place for the job, and memory. The first one fits in any case.
  bool Fits(const Job& job) const;
  void Start(const WaitingJob& waiting);

  // Ends those that are late, were cancelled, or whose listener threw; or all.
  void End(std::chrono::steady_clock::time_point now, std::span<const uint64_t> cancelled,
           bool all);
  void FailAll(const Error& error);

  // One pass and the step after it. Throws std::bad_alloc; call FailAll then.
  void Pass();

  // Of running jobs and passes.
  const SchedulerStatistics& statistics();
  static Error TooLate();

 private:
  // A job that reads in the pass, with its shares.
  struct Reader {
    RunningJob* job;
    size_t first = 0, count = 0;
  };
  // A text in the step after a pass.
  struct Ready {
    RunningJob* job;
    JobText* text;
  };

  bool foreground() const;
  uint64_t BytesOf(const Job& job) const;
  void Reserve(const Job& job);
  void Release(const Job& job);
  void PlanTexts(bool background);
  size_t PlanReaders(bool background);
  size_t PlanGuesses(size_t rows);
  void AddReaders(size_t scored);
  RunningJob* NextReader(bool background, bool may_score);
  void LendLogits();
  void FindReady();
  void StepTexts();
  void EndTexts();
  void RemoveDone();

  const JobContext& context_;
  const SchedulerOptions options_;
  const StateShape shape_;
  const uint64_t state_bytes_;
  PromptBudget budget_;
  PassTimes times_;

  std::list<RunningJob> jobs_;
  // Of jobs that are not in the background: texts that run or will, and their memory.
  std::map<std::string, size_t> owner_texts_;
  size_t texts_ = 0;
  uint64_t bytes_ = 0;
  std::map<std::string, uint64_t> owner_served_;  // when its prompts last got rows
  uint64_t turn_ = 0;

  // Of the current pass.
  std::vector<Share> shares_;  // of texts, then of readers
  size_t text_shares_ = 0;
  std::vector<Reader> readers_;
  std::vector<Ready> ready_;
  std::vector<float> score_logits_;

  std::vector<std::vector<float>> spare_logits_;
  SchedulerStatistics totals_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_RUNNING_JOBS_H_
