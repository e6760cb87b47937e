// Passes: run training rows forward and backward through the network, whole or in chunks.
#ifndef LINNET_TRAIN_PASSES_H_
#define LINNET_TRAIN_PASSES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/arena.h"
#include "base/thread_pool.h"
#include "linnet/state.h"
#include "models/network.h"
#include "train/samples.h"

namespace linnet {

struct PassOptions {
  bool exact = false;      // f32 products
  bool recompute = false;  // recompute layers in the backward pass instead of storing activations
  bool l2wrap = true;
  float dropout = 0;
  // Tokens of a row per pass; states are carried from one such chunk to the next. 0: whole rows.
  // Only the activations of one chunk are in memory, whatever the length of a row.
  // Not with attention.
  size_t chunk = 0;
  // Chunks that a gradient is propagated through: it is truncated before every bptt-th chunk. 0:
  // not truncated, so the gradient is that of the whole row.
  size_t bptt = 0;
};

// Throws Error kBadInput if rows of this model cannot be processed in chunks: attention reads all
// past tokens of a row, and what is carried from chunk to chunk has none of them.
void CheckChunks(const Config& config, size_t chunk);

// One thread at a time. The bits of losses and gradients depend on the rows, exact, chunk and bptt,
// not on threads or recompute.
class Passes {
 public:
  // Both must outlive this object.
  Passes(const Network& network, const PassOptions& options, ThreadPool& pool);

  // The most rows that Learn accepts.
  size_t most_rows() const { return options_.chunk == 0 ? SIZE_MAX : 1; }

  // Adds `scale` times the gradients of the rows' losses to those of the network; returns the sum
  // of the losses. The first row is number `first` of the batch. Dropout depends on that number,
  // the position in the row and `dropout_seed`.
  double Learn(std::span<const SampleRow> rows, uint64_t first, double scale,
               uint64_t dropout_seed);

  // Bytes that so many rows of `length` tokens take, measured by running a small one. Changes the
  // gradients only by adding zeros.
  uint64_t Bytes(size_t rows, size_t length);
  // Seconds that a row of so many tokens takes, forward and backward, measured by running it, or
  // two chunks of it.
  double Seconds(size_t length);

 private:
  // Tokens [begin, end) of a row, number `index` of the batch.
  struct Chunk {
    const SampleRow* row;
    size_t begin, end;
    uint64_t index;
  };
  // Inputs and outputs of a chunk, [state] each, or null: the state before it, the state after it,
  // and the gradient of the latter, which is replaced by the gradient of the former.
  struct Carried {
    const float* before = nullptr;
    float *after = nullptr, *gradient = nullptr;
  };
  // The rows of a pass.
  struct Layout {
    std::vector<int32_t> inputs, targets;
    std::vector<Segment> segments;
    std::vector<TrainingSequence> sequences;
    bool continues = false;  // the first segment starts from a carried state
  };

  Layout LayoutOf(std::span<const Chunk> chunks, const float* before);
  Pass NewPass(const Layout& layout, uint64_t dropout_seed, Tape* tape);
  double Run(std::span<const Chunk> chunks, double scale, uint64_t dropout_seed, Carried carried);
  void Advance(const Chunk& chunk, uint64_t dropout_seed, const float* before, float* after);
  double LearnInChunks(const SampleRow& row, uint64_t index, double scale, uint64_t dropout_seed);
  // Chunks of a row of so many tokens that a gradient is propagated through.
  size_t ChunksTogether(size_t length) const;

  const Network& network_;
  const PassOptions options_;
  ThreadPool& pool_;
  const size_t state_floats_;
  Arena arena_;
  std::vector<State> states_;            // of the segments of a pass
  std::vector<float> kept_;              // states before chunks, [ChunksTogether, state]
  std::vector<float> after_, gradient_;  // the state after a chunk; a carried state's gradient
};

}  // namespace linnet

#endif  // LINNET_TRAIN_PASSES_H_
