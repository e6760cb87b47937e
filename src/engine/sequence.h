// Sequence: the processing state of one text; Advance runs many sequences together.
#ifndef LINNET_ENGINE_SEQUENCE_H_
#define LINNET_ENGINE_SEQUENCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "linnet/error.h"
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

class Sequence;

// A sequence's part of the next pass.
struct Share {
  Sequence* sequence = nullptr;
  size_t max_tokens = SIZE_MAX;  // of the queued ones; more than 0
  // Whether logits are wanted after the last queued token. Without them the sequence is not ready()
  // until another token has run.
  bool logits = true;
  // Empty, or where the logits of all tokens of this part go: at least as many rows of V.
  std::span<float> all_logits{};
  std::span<double> hidden_sum{};  // as in Turn
  // Result: the tokens run, or why it failed.
  size_t tokens = 0;
  std::optional<Error> error{};
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
  // The same of tokens whose bit is set: bit id % 64 of word id / 64.
  int32_t Sample(std::span<const uint64_t> allowed) { return sampler_.Sample(at_.logits, allowed); }

  // The position after all tokens that were run.
  const Snapshot& at() const { return at_; }
  // Continues from the snapshot. Queued tokens are dropped, the sampler is unchanged.
  void Restore(const Snapshot& snapshot);
  // Clones at() into `to`, in the memory that it has already if it holds a snapshot.
  void CopyTo(std::optional<Snapshot>& to, bool with_logits) const;

  Sampler& sampler() { return sampler_; }

  // For many sequences that need logits only within a step: takes the memory of the logits away,
  // after which the sequence is not ready(), and gives memory to use for the next ones.
  std::vector<float> TakeLogits() { return std::exchange(at_.logits, {}); }
  void LendLogits(std::vector<float> memory) { lent_ = std::move(memory); }

 private:
  friend size_t RunShares(const Model&, std::span<Share>, Workspace&);

  Snapshot at_;
  Sampler sampler_;
  std::vector<int32_t> line_;  // from begin_ on
  size_t begin_ = 0;
  std::vector<float> lent_;
};

// One call of Model::Forward, with at most `max_tokens` (> 0) of the queued tokens of each
// sequence. Returns the number of tokens run; 0 when none is queued. Throws Error kBadInput, with
// nothing changed. Throws std::bad_alloc; the sequences with queued tokens are then invalid and not
// ready() until Restore.
size_t Advance(const Model& model, std::span<Sequence* const> sequences, size_t max_tokens,
               Workspace& workspace);

// The same with a limit for each sequence. What fails in one sequence is written to its share and
// leaves that sequence invalid, as above, and the others as if it had not been there. An error that
// is nobody's own is written to all shares. Throws std::bad_alloc as Advance.
size_t Advance(const Model& model, std::span<Share> shares, Workspace& workspace);

}  // namespace linnet

#endif  // LINNET_ENGINE_SEQUENCE_H_
