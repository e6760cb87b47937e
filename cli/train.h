// The parts of `linnet train`, which are in separate files.
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
// Throws CLI::ValidationError if flags are missing or contradict each other.
void CheckFlags(const TrainFlags& flags);
// Throws CLI::ValidationError for options that a new run would ignore.
void RefuseUseless(const CLI::App& command, const TrainFlags& flags);
// Parses --lr; without it `first` and `last` of the schedule are kept. Throws CLI::ValidationError.
void ReadRates(const TrainFlags& flags, Schedule& schedule);

// Runs the steps of a trace (a list of batches) and prints the result of each; writes no files.
void RunTrace(const CommonOptions& common, const std::string& base, const std::string& trace,
              const LearnerOptions& options, Schedule schedule);

// --tune lora|state, in train_adapters.cc: trains an adapter, and the base is frozen.
bool TunesAdapter(const TrainFlags& flags);
// The adapter that a run in flags.out starts from; empty if the run trains the model itself. All
// processes call it.
std::optional<Adapter> StartAdapter(const TrainFlags& flags, const Checkpoint& base,
                                    ThreadPool& pool, World& world, RunStart& start);
// Makes the run save an adapter instead of a model; `adapter` must outlive the run.
void TuneAdapter(const TrainFlags& flags, const Adapter& adapter, RunOptions& run);
void AddAdapterOptions(CLI::App& command, TrainFlags& flags);

// The default of --sampling: fine-tuning uses whole documents.
inline const char* UsualSampling(bool based) { return based ? "documents" : "stream"; }

// Whether --valid scores a saved copy of the model: saving rounds values, or the model has frozen
// ones that are packed.
inline bool ScoresCopy(const TrainFlags& o) {
  return !o.valid.empty() && !TunesAdapter(o) &&
         (o.precision != "f32" || o.tune != "full" || !o.freeze.empty());
}

// The default learning rates, if --lr is not given.
void SetUsualRates(const TrainFlags& flags, Schedule& schedule);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAIN_H_
