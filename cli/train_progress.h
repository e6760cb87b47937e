// The messages of `linnet train`: the plan, a progress bar and the result.
#ifndef LINNET_CLI_TRAIN_PROGRESS_H_
#define LINNET_CLI_TRAIN_PROGRESS_H_

#include <chrono>
#include <string>

#include "cli/status_line.h"
#include "cli/train.h"
#include "train/run.h"
#include "train/token_data.h"

namespace linnet::cli {

// Writes to stderr, except the JSON of End, and on process 0 only. All processes call all members
// except Show. One thread at a time.
class TrainProgress {
 public:
  // Keeps references.
  TrainProgress(const CommonOptions& common, const TrainFlags& flags, Learner& learner,
                World& world, const TokenData& data, const RunOptions& run, std::string sampling,
                uint64_t rows_per_epoch);

  // Prints parameters, memory, tokens and time. Throws Error kNoMemory if the run does not fit,
  // unless
  // --force is given.
  void Plan();
  void Show(const StepMetrics& metrics);
  void End(RunEnd end);

 private:
  // The most important metrics that fit in so many columns.
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
  double loss_ = 0, seconds_ = 0;  // per step, smoothed
  uint64_t shown_ = 0;             // steps
  StepMetrics last_;
  std::optional<Validation> valid_;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAIN_PROGRESS_H_
