// Run: steps of learning, with the files, figures and stops of a whole training.
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
  // `results`, of which the first is the one to go on with.
  std::filesystem::path out;
  std::vector<std::string> results = {"model.safetensors", "model.pth"};
  // What models and checkpoints hold (StoredVocabulary's); their base's own if it is empty.
  std::span<const std::byte> vocabulary{};
  // Writes what came of the run: `results`, and best.safetensors. If not set, the whole model, of
  // model_type, with its vocabulary.
  std::function<void(const Network&, const std::filesystem::path&)> save{};
  size_t batch_rows = 8;   // a step, over all passes and processes
  uint64_t rows_read = 0;  // of the data, by the steps that were taken before
  Schedule schedule;       // and how many steps there are
  uint64_t every = 500;    // steps between checkpoints and validations
  size_t keep = 2;         // checkpoints; 0: all
  uint64_t patience = 0;   // stop after so many validations without a better one; 0: never
  SourceType model_type = SourceType::kBF16;
};

struct Validation {
  double nats_per_token = 0, bits_per_byte = 0;
};

// What a step was like, for a bar and for metrics.jsonl.
struct StepMetrics {
  uint64_t step = 0, steps = 0;  // the first is 1
  uint64_t tokens = 0;           // learnt since the run began
  StepReport report;
  double rate = 0;     // the learning rate
  double seconds = 0;  // the step took
  std::optional<Validation> valid;
};

struct RunEvents {
  std::function<void(const StepMetrics&)> on_step{};
  std::function<bool()> interrupted{};  // then the run saves itself and ends
  std::function<Validation(const Model&)> validate{};
};

enum class RunEnd { kDone, kInterrupted, kNoBetter };

// Rows of the data that were read before a checkpoint with these notes; `otherwise` if they do not
// say so.
uint64_t RowsRead(const Notes& notes, uint64_t otherwise);

// Whether RunTraining would take no step: all are done, or patience is at its end.
bool IsOver(const Learner& learner, const RunOptions& options, const Notes& notes);

// Goes on from learner.steps() to the schedule's end. `notes` are what LoadTraining gave for the
// checkpoint it goes on from; none for a new run. A run that is
// stopped anywhere and goes on from its newest checkpoint ends with the same bytes. All processes
// call it; process 0 writes and reports. Throws what Learner::Step and the writers throw; what was
// saved before stays.
RunEnd RunTraining(Learner& learner, const SampleSource& samples, World& world,
                   const RunOptions& options, const RunEvents& events, const Notes& notes);

}  // namespace linnet

#endif  // LINNET_TRAIN_RUN_H_
