// Sequence: the processing state of one text; Advance runs many sequences together.
#ifndef LINNET_ENGINE_SEQUENCE_H_
#define LINNET_ENGINE_SEQUENCE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/state.h"

namespace linnet {

// A point from which a text can be continued: its state, and the logits after its last token (empty
// before the first).
struct Snapshot {
  State state;
  std::vector<float> logits;
  size_t tokens = 0;  // since the state was created or loaded

  Snapshot Clone() const { return {state.Clone(), logits, tokens}; }
  // Rows per token included, which other snapshots may share.
  size_t bytes() const { return state.bytes() + logits.size() * sizeof(float); }
};

// Owns its state, its sampler and the queue of tokens for the next passes. Not thread-safe.
class Sequence {
 public:
  Sequence(Snapshot start, Sampler sampler);

  // Queues tokens for the next passes.
  void Feed(std::span<const int32_t> tokens);
  size_t waiting() const { return line_.size() - begin_; }
  void DropWaiting();

  // No token is queued and there are logits to sample from.
  bool ready() const { return waiting() == 0 && !at_.logits.empty(); }

  // Samples the next token, without feeding it. Call when ready().
  int32_t Sample() { return sampler_.Sample(at_.logits); }

  // The position after all fed tokens; call when no token is queued.
  const Snapshot& at() const { return at_; }
  // Continues from the snapshot. Queued tokens are dropped, the sampler is unchanged.
  void Restore(const Snapshot& snapshot);

  Sampler& sampler() { return sampler_; }

 private:
  friend size_t Advance(const Model&, std::span<Sequence* const>, size_t, Workspace&);

  Snapshot at_;
  Sampler sampler_;
  std::vector<int32_t> line_;  // from begin_ on
  size_t begin_ = 0;
};

// One call of Model::Forward, with at most `max_tokens` (> 0) of the queued tokens of each
// sequence. Returns the number of tokens run; 0 when none is queued. Throws Error kBadInput, with
// nothing changed. Throws std::bad_alloc; the sequences with queued tokens are then invalid and not
// ready() until Restore.
size_t Advance(const Model& model, std::span<Sequence* const> sequences, size_t max_tokens,
               Workspace& workspace);

}  // namespace linnet

#endif  // LINNET_ENGINE_SEQUENCE_H_
