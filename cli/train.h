// The parts of `linnet train`, each in a file of its own.
#ifndef LINNET_CLI_TRAIN_H_
#define LINNET_CLI_TRAIN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "models/adapter.h"
#include "train/learner.h"
#include "train/new_adapter.h"
#include "train/run.h"
#include "train/run_folder.h"
#include "train/schedule.h"

namespace linnet::cli {

struct TrainFlags {
  std::string data, out, base, generation, ranks = "train", rates, precision = "bf16";
  std::string sampling, tune = "full", freeze, trace, adapter = "lora", targets = kDefaultTargets;
  std::vector<std::string> valid;
  size_t layers = 0, width = 0, head_size = 64, ffn = 0;
  size_t ctx = 512, batch = 8, accumulate = 1, keep = 2;
  uint64_t steps = 0, tokens = 0, warmup = 10, every = 500, patience = 0, seed = 1;
  double epochs = 1, decay = 0.1, clip = 1;
  size_t chunk = 0, bptt = 0;
  size_t rank = 8;
  double alpha = 32;
  float dropout = 0;
  bool resume = false, recompute = false, no_l2wrap = false, skip_spikes = false;
};

// In train_options.cc.
void AddTrainOptions(CLI::App& command, CommonOptions& common, TrainFlags& flags);
// Throws CLI::ValidationError where flags lack something or contradict each other.
void CheckFlags(const TrainFlags& flags);
// Throws CLI::ValidationError for options that a new run would not obey.
void RefuseUseless(const CLI::App& command, const TrainFlags& flags);
// --lr; without it the schedule's `first` and `last` stay. Throws CLI::ValidationError.
void ReadRates(const TrainFlags& flags, Schedule& schedule);

// Runs the steps of a trace (a list of batches) and prints what came of each; writes no files.
void RunTrace(const CommonOptions& common, const std::string& base, const std::string& trace,
              const LearnerOptions& options, Schedule schedule);

// --tune lora|state, in train_adapters.cc: an adapter learns, and the base stays as it is.
bool TunesAdapter(const TrainFlags& flags);
// What a run in flags.out begins with; nothing if it learns the model itself. All processes call
// it.
std::optional<Adapter> StartAdapter(const TrainFlags& flags, const Checkpoint& base,
                                    ThreadPool& pool, World& world, RunStart& start);
// The run leaves an adapter instead of a model; `adapter` must outlive it.
void TuneAdapter(const TrainFlags& flags, const Adapter& adapter, RunOptions& run);
void AddAdapterOptions(CLI::App& command, TrainFlags& flags);

// --sampling if it is not given: fine-tuning takes whole documents.
inline const char* UsualSampling(bool based) { return based ? "documents" : "stream"; }

// Whether --valid opens a copy of what the run would leave: its file rounds the values, or holds
// some that do not learn.
inline bool ScoresCopy(const TrainFlags& o) {
  return !o.valid.empty() && !TunesAdapter(o) &&
         (o.precision != "f32" || o.tune != "full" || !o.freeze.empty());
}

// The learning rates if --lr is not given.
void SetUsualRates(const TrainFlags& flags, Schedule& schedule);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAIN_H_
