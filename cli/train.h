// The parts of `linnet train`, each in a file of its own.
#ifndef LINNET_CLI_TRAIN_H_
#define LINNET_CLI_TRAIN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace linnet::cli {

struct TrainFlags {
  std::string data, out, base, generation, ranks = "train", rates, precision = "bf16";
  std::string sampling, tune = "full", freeze, trace;
  std::vector<std::string> valid;
  size_t layers = 0, width = 0, head_size = 64, ffn = 0;
  size_t ctx = 512, batch = 8, accumulate = 1, keep = 2;
  uint64_t steps = 0, tokens = 0, warmup = 10, every = 500, patience = 0, seed = 1;
  double epochs = 1, decay = 0.1, clip = 1;
  float dropout = 0;
  bool resume = false, recompute = false, no_l2wrap = false, skip_spikes = false;
};

// Runs the steps of a trace (a list of batches) and prints what came of each; writes no files.
void RunTrace(const CommonOptions& common, const std::string& base, const std::string& trace,
              const TrainerOptions& options, Schedule schedule);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAIN_H_
