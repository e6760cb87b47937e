// Sequence: the processing state of one text; Advance runs many sequences together.
#ifndef LINNET_ENGINE_SEQUENCE_H_
#define LINNET_ENGINE_SEQUENCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/speculation.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/state.h"
#include "ops/state_log.h"

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

// Where a sequence is that is between its states: the text after `at` has the tokens `then` too.
struct Resumption {
  Snapshot at;
  std::vector<int32_t> then{};
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
  // As in Turn.
  std::span<double> hidden_sum{};
  std::span<const float> hidden_weights{};
  // Guesses of the sequence's speculation to check after the queued tokens, at most. Not with a
  // limit, sums or the logits of all tokens.
  size_t guesses = 0;
  // Result: the tokens run, guesses not counted; the guesses run; or why it failed.
  size_t tokens = 0, guessed = 0;
  std::optional<Error> error{};
};

// Owns its state, its sampler and the queue of tokens for the next passes. Not thread-safe.
//
// With a Speculation, a pass may check guesses of the tokens to come. While the tokens that are
// drawn are the guesses, the sequence stays ready() and no pass is needed; its state is then ahead
// of the text. At the first token that differs it goes back: the state before that pass is advanced
// by a log of what the pass did to it. With attention there is none, and the tokens since are
// queued again, before the new one.
class Sequence {
 public:
  Sequence(Snapshot start, Sampler sampler);

  void Speculate(SpeculationOptions options, size_t vocab);
  Speculation* speculation() { return speculation_.get(); }
  const Speculation* speculation() const { return speculation_.get(); }

  // Queues tokens for the next passes.
  void Feed(std::span<const int32_t> tokens);
  // The same of the token that was just drawn with Sample.
  void Take(int32_t token);
  size_t waiting() const { return line_.size() - begin_; }
  std::span<const int32_t> waiting_tokens() const { return std::span(line_).subspan(begin_); }
  void DropWaiting();

  // No token is queued and there are logits to sample from.
  bool ready() const { return waiting() == 0 && !at_.logits.empty(); }

  // Samples the next token, without feeding it. Call when ready().
  int32_t Sample() { return sampler_.Sample(at_.logits); }
  // The same of tokens whose bit is set: bit id % 64 of word id / 64.
  int32_t Sample(std::span<const uint64_t> allowed) { return sampler_.Sample(at_.logits, allowed); }

  // The position after all tokens that were run. Its state is ahead of that while guesses are
  // unchecked(): call Settle() before it is used.
  const Snapshot& at() const { return at_; }
  bool unchecked() const { return !guesses_.empty(); }
  // Goes back to a state of the text, if it is ahead: with attention tokens are then queued again.
  void Settle();
  // So many of the queued tokens, the first ones, were run before. After them the state is where it
  // would be without guesses.
  size_t behind() const { return behind_; }
  // What going back took lately, for each token since the pass; none with attention.
  std::optional<double> back_s() const;
  // Continues from the snapshot. Queued tokens are dropped, the sampler is unchanged.
  void Restore(const Snapshot& snapshot);
  void Restore(const Resumption& resumption);
  // Clones the position into `to`, in the memory that it has already if it holds one. Logits only
  // if no token follows.
  void CopyTo(std::optional<Resumption>& to, bool with_logits) const;

  Sampler& sampler() { return sampler_; }

  // For all further passes; null: none. Must outlive them.
  void set_adapter(const TurnAdapter* adapter) { adapter_ = adapter; }

  // For many sequences that need logits only within a step: takes the memory of the logits away,
  // after which the sequence is not ready(), and gives memory to use for the next ones.
  std::vector<float> TakeLogits() { return std::exchange(at_.logits, {}); }
  void LendLogits(std::vector<float> memory) { lent_ = std::move(memory); }

 private:
  friend size_t RunShares(const Model&, std::span<Share>, Workspace&);

  bool TakesGuess(int32_t token);
  void DropGuesses();
  void FreeGuesses();
  // Adds guesses to the queue; the number of them.
  size_t AddGuesses(size_t most, size_t vocab, Workspace& workspace);
  void FoundGuesses(size_t count, size_t vocab);

  Snapshot at_;
  Sampler sampler_;
  std::vector<int32_t> line_;  // from begin_ on
  size_t begin_ = 0;
  std::vector<float> lent_;
  const TurnAdapter* adapter_ = nullptr;

  std::unique_ptr<Speculation> speculation_;
  // Of the last pass, while the state is ahead: its guesses, the logits before the first and after
  // each [1 + guesses, V], how many the text went on with, and the state and the tokens before it.
  std::vector<int32_t> guesses_;
  std::vector<float> guess_logits_;
  size_t taken_ = 0;
  std::optional<State> before_;
  StateLog log_;  // of the pass since then
  double back_s_ = 0;
  size_t before_tokens_ = 0, behind_ = 0;
  std::vector<int32_t> since_;  // tokens of the text since `before_`
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
