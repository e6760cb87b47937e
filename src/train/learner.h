// Learner: a network and its optimizer; runs one training step at a time.
#ifndef LINNET_TRAIN_LEARNER_H_
#define LINNET_TRAIN_LEARNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "linnet/model.h"
#include "linnet/trainer.h"
#include "models/network.h"
#include "train/adamw.h"
#include "train/bad_step.h"
#include "train/replicas.h"
#include "train/samples.h"
#include "train/world.h"

namespace linnet {

struct LearnerOptions {
  DType precision = DType::kBF16;  // of products: kBF16, or kF32
  bool recompute = false;  // recompute layers in the backward pass instead of storing activations
  bool l2wrap = true;
  double clip = 1.0;  // limit of the global norm; 0: none
  AdamWOptions adam{};
  float dropout = 0;
  uint64_t seed = 0;         // of dropout
  size_t rows_per_pass = 0;  // sequences per pass; 0: all
  // As in PassOptions. With chunks, rows are processed one at a time.
  size_t chunk = 0, bptt = 0;
  // Which parameters are trained; all if not set.
  std::function<bool(const std::string& name)> learns{};
  Packing packing{};         // of frozen matrices
  bool skip_spikes = false;  // skip the update instead of throwing
};

PassOptions PassOptionsOf(const LearnerOptions& options);

// Most steps in a row that skip_spikes skips; with more, the data is not the cause.
inline constexpr size_t kMostSkipped = 20;

// One thread at a time. The result of a step depends on the rows, their order, chunk and bptt. It
// does not depend on threads, processes or rows_per_pass, which must divide the batch into equal
// halves repeatedly.
class Learner {
 public:
  // Throws what Network::Bind throws. All processes pass the same checkpoint, options and adapters.
  // With adapters, only their tensors are trained. `pool` and `world` must outlive the learner.
  Learner(Checkpoint checkpoint, const Config& config, const LearnerOptions& options,
          ThreadPool& pool, World& world, std::span<const Adapter> adapters = {});

  // Rows of the batch that this process runs: [first, last) of `rows`.
  std::pair<size_t, size_t> Share(size_t rows) const;

  // Trains on a batch of `batch_rows` rows, of which `rows` are this process's share. Throws Error
  // kBadInput for a row with ids outside the vocabulary. Throws BadStep, which names the step and
  // the tensor, for a gradient that is not finite or far above the previous ones. With skip_spikes
  // such steps are skipped, and BadStep is thrown only if a value is not finite, so that no step is
  // possible any more, or if kMostSkipped steps in a row were skipped. On an exception nothing has
  // changed.
  StepReport Step(std::span<const SampleRow> rows, size_t batch_rows, double rate);

  uint64_t steps() const { return memory_.steps; }  // done
  const Network& network() const { return *network_; }
  // Whether parameters() are the whole model: a file of them can be opened as a model.
  bool learns_all() const { return learns_all_; }
  // The current network, for scoring and sampling; changes with every step.
  Model AsModel() const;

  // What a resumed run needs in addition to the parameter values.
  struct Memory {
    uint64_t steps = 0, updates = 0;  // all steps; those that were not skipped
    std::vector<double> norms;        // of the last steps, to detect spikes
  };
  const Memory& memory() const { return memory_; }
  AdamW& optimizer() { return *optimizer_; }
  const std::vector<size_t>& shards() const { return shards_; }
  void Restore(Memory memory);

  // The most rows per pass, of so many rows.
  size_t RowsPerPass(size_t rows) const;
  // For measuring the memory and time of a pass.
  Replicas& replicas() { return *replicas_; }

 private:
  double Accumulate(std::span<const SampleRow> rows, size_t first, double scale, size_t depth);
  double GradientNorm();
  double UsualNorm() const;
  std::string BlamedGradient(bool finite) const;
  std::string OddGradient(double loss) const;
  void LeaveOut(StepReport& report, const std::string& trouble);
  void Check(std::span<const SampleRow> rows) const;

  LearnerOptions options_;
  ThreadPool& pool_;
  World& world_;
  std::shared_ptr<Network> network_;
  bool learns_all_;
  std::vector<size_t> shards_;  // of the processes
  std::unique_ptr<AdamW> optimizer_;
  std::unique_ptr<Replicas> replicas_;
  std::vector<Buffer> halves_;  // gradients waiting to be added to their other half
  Memory memory_;
  size_t skipped_ = 0;  // consecutive steps, up to now
};

}  // namespace linnet

#endif  // LINNET_TRAIN_LEARNER_H_
