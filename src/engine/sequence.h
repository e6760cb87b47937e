// Sequence: one text on its way through a model; Advance runs many of them together.
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

// Where a text can be taken up again: its state, and the logits after its last
// token (empty before the first).
struct Snapshot {
  State state;
  std::vector<float> logits;
  size_t tokens = 0;  // read since it was created or loaded

  Snapshot Clone() const { return {state.Clone(), logits, tokens}; }
  size_t bytes() const { return (state.values().size() + logits.size()) * sizeof(float); }
};

// Owns its state, sampler and the tokens that wait for a pass. One thread at a
// time.
class Sequence {
 public:
  Sequence(Snapshot start, Sampler sampler);

  // Puts tokens in line for the next passes.
  void Feed(std::span<const int32_t> tokens);
  size_t waiting() const { return line_.size() - begin_; }
  void DropWaiting();

  // Nothing waits and there are logits to sample from.
  bool ready() const { return waiting() == 0 && !at_.logits.empty(); }

  // The next token, by the sampler; not fed. Call when ready().
  int32_t Sample() { return sampler_.Sample(at_.logits); }

  // After all that was fed; call when nothing waits.
  const Snapshot& at() const { return at_; }
  // Goes there; what waits is dropped, the sampler stays as it is.
  void Restore(const Snapshot& snapshot);

  Sampler& sampler() { return sampler_; }

 private:
  friend size_t Advance(const Model&, std::span<Sequence* const>, size_t, Workspace&);

  Snapshot at_;
  Sampler sampler_;
  std::vector<int32_t> line_;  // from begin_ on
  size_t begin_ = 0;
};

// One call of Model::Forward: at most `max_tokens` (> 0) of what waits in each of these. Returns
// the number of tokens run; 0 when none waits. Throws Error kBadInput, and then nothing has
// changed; or std::bad_alloc, and then the sequences that had tokens waiting hold nothing of use:
// they are not ready() until Restore.
size_t Advance(const Model& model, std::span<Sequence* const> sequences, size_t max_tokens,
               Workspace& workspace);

}  // namespace linnet

#endif  // LINNET_ENGINE_SEQUENCE_H_
