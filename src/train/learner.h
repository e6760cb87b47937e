// Learner: a network, its optimizer, and one step of learning at a time.
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
  bool recompute = false;          // run layers again for their gradient instead of keeping them
  bool l2wrap = true;
  double clip = 1.0;  // of the global norm; 0: none
  AdamWOptions adam{};
  float dropout = 0;
  uint64_t seed = 0;         // of dropout
  size_t rows_per_pass = 0;  // sequences that go through together; 0: all
  // As PassOptions has them. With chunks rows go one at a time.
  size_t chunk = 0, bptt = 0;
  // Which parameters learn; all if not set.
  std::function<bool(const std::string& name)> learns{};
  Packing packing{};         // of what does not learn
  bool skip_spikes = false;  // go on without the update, instead of throwing
};

PassOptions PassOptionsOf(const LearnerOptions& options);

// Steps in a row that skip_spikes leaves out; what is wrong with so many is not the data.
inline constexpr size_t kMostSkipped = 20;

// One thread at a time. The result of a step depends on the rows and their order, and on chunk and
// bptt, not on threads, rows_per_pass (which must halve the batch evenly) or processes.
class Learner {
 public:
  // Throws what Network::Bind throws. All processes give the same checkpoint, options and adapters;
  // if there are any, then only their tensors learn. `pool` and `world` must outlive the learner.
  Learner(Checkpoint checkpoint, const Config& config, const LearnerOptions& options,
          ThreadPool& pool, World& world, std::span<const Adapter> adapters = {});

  // Rows of the batch that this process runs: [first, last) of `rows`.
  std::pair<size_t, size_t> Share(size_t rows) const;

  // Learns from a batch of `batch_rows` rows, of which `rows` are this process's share. Throws
  // Error kBadInput for a row with ids outside the vocabulary, and BadStep for a gradient that is
  // no number or far above those before; with skip_spikes only if a value is no number, so that no
  // step could be taken any more, or kMostSkipped steps in a row were left out. Names step and
  // tensor. Nothing has changed then.
  StepReport Step(std::span<const SampleRow> rows, size_t batch_rows, double rate);

  uint64_t steps() const { return memory_.steps; }  // done
  const Network& network() const { return *network_; }
  // Whether parameters() are all of the model: a file of them can be opened as one.
  bool learns_all() const { return learns_all_; }
  // The network as it is now, for scoring and sampling; changes with every step.
  Model AsModel() const;

  // What a resumed run needs beside the values of the parameters.
  struct Memory {
    uint64_t steps = 0, updates = 0;  // done; those that were not skipped
    std::vector<double> norms;        // of the last steps, to know a spike by
  };
  const Memory& memory() const { return memory_; }
  AdamW& optimizer() { return *optimizer_; }
  const std::vector<size_t>& shards() const { return shards_; }
  void Restore(Memory memory);

  // Most rows of so many that go through together.
  size_t RowsPerPass(size_t rows) const;
  // What they take.
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
  std::vector<Buffer> halves_;  // gradients that wait for their other half
  Memory memory_;
  size_t skipped_ = 0;  // steps in a row, the last ones
};

}  // namespace linnet

#endif  // LINNET_TRAIN_LEARNER_H_
