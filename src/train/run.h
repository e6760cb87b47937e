// Run: a whole training, with its files, metrics and stop conditions.
#ifndef LINNET_TRAIN_RUN_H_
#define LINNET_TRAIN_RUN_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "linnet/model.h"
#include "train/learner.h"
#include "train/samples.h"
#include "train/schedule.h"
#include "train/training_file.h"
#include "train/world.h"

namespace linnet {

struct RunOptions {
  // A folder: checkpoint-NNNNNNNN.safetensors, metrics.jsonl, best.safetensors, and at the end
  // `results`, of which the first is the main one.
  std::filesystem::path out;
  std::vector<std::string> results = {"model.safetensors", "model.pth"};
  // Stored in models and checkpoints (from StoredVocabulary). If empty, the vocabulary of the base.
  std::span<const std::byte> vocabulary{};
  // Writes the results: `results` and best.safetensors. If not set, writes the whole model as
  // model_type, with its vocabulary.
  std::function<void(const Network&, const std::filesystem::path&)> save{};
  size_t batch_rows = 8;   // per step, over all passes and processes
  uint64_t rows_read = 0;  // rows of the data that earlier steps used
  Schedule schedule;       // also the number of steps
  uint64_t every = 500;    // steps between checkpoints and validations
  size_t keep = 2;         // checkpoints; 0: all
  uint64_t patience = 0;   // stop after so many validations without improvement; 0: never
  SourceType model_type = SourceType::kBF16;
};

struct Validation {
  double nats_per_token = 0, bits_per_byte = 0;
};

// Metrics of a step, for the progress bar and metrics.jsonl.
struct StepMetrics {
  uint64_t step = 0, steps = 0;  // the first is 1
  uint64_t tokens = 0;           // trained on since the run began
  StepReport report;
  double rate = 0;     // the learning rate
  double seconds = 0;  // duration of the step
  std::optional<Validation> valid;
};

struct RunEvents {
  std::function<void(const StepMetrics&)> on_step{};
  std::function<bool()> interrupted{};  // if true, the run saves and ends
  std::function<Validation(const Model&)> validate{};
};

enum class RunEnd { kDone, kInterrupted, kNoBetter };

// Rows of the data that were read before a checkpoint with these notes; `otherwise` if the notes do
// not contain it.
uint64_t RowsRead(const Notes& notes, uint64_t otherwise);

// Whether RunTraining would take no step: all are done, or patience is used up.
bool IsOver(const Learner& learner, const RunOptions& options, const Notes& notes);

// Trains from learner.steps() to the end of the schedule. `notes` are what LoadTraining returned
// for the checkpoint; empty for a new run. A run that is stopped anywhere and resumed from its
// newest checkpoint ends with the same bytes. All processes call it; process 0 writes and reports.
// Throws what Learner::Step and the writers throw; earlier checkpoints are kept.
RunEnd RunTraining(Learner& learner, const SampleSource& samples, World& world,
                   const RunOptions& options, const RunEvents& events, const Notes& notes);

}  // namespace linnet

#endif  // LINNET_TRAIN_RUN_H_
