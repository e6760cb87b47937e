// What `linnet train` tells people: the plan before, a bar while it runs, what came of it.
#ifndef LINNET_CLI_TRAIN_PROGRESS_H_
#define LINNET_CLI_TRAIN_PROGRESS_H_

#include <chrono>
#include <string>

#include "cli/status_line.h"
#include "cli/train.h"
#include "train/run.h"
#include "train/token_data.h"

namespace linnet::cli {

// Writes to stderr, but for the JSON of End, and on process 0 only; all processes call all but
// Show. One thread at a time.
class TrainProgress {
 public:
  // Keeps references.
  TrainProgress(const CommonOptions& common, const TrainFlags& flags, Learner& learner,
                World& world, const TokenData& data, const RunOptions& run, std::string sampling,
                uint64_t rows_per_epoch);

  // Parameters, memory, tokens and time. Throws Error kNoMemory, unless --force, where the plan
  // does not fit.
  void Plan();
  void Show(const StepMetrics& metrics);
  void End(RunEnd end);

 private:
  // What matters most of it in so many columns.
  std::string Line(const StepMetrics& m, size_t columns) const;
  std::string LineWithBar(const StepMetrics& m) const;  // as wide as the terminal allows

  const CommonOptions& common_;
  const TrainFlags& flags_;
  Learner& learner_;
  World& world_;
  const TokenData& data_;
  const RunOptions& run_;
  std::string sampling_;
  uint64_t rows_per_epoch_;
  StatusLine line_;
  double peak_gflops_ = 0;
  double flops_per_token_ = 0;
  double loss_ = 0, seconds_ = 0;  // of a step, smoothed
  uint64_t shown_ = 0;             // steps
  StepMetrics last_;
  std::optional<Validation> valid_;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAIN_PROGRESS_H_
