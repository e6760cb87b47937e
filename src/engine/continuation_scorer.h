// ContinuationScorer: reads the continuations of a job after its prompt, some at a time.
#ifndef LINNET_ENGINE_CONTINUATION_SCORER_H_
#define LINNET_ENGINE_CONTINUATION_SCORER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <vector>

#include "engine/job.h"
#include "engine/sequence.h"
#include "linnet/error.h"
#include "linnet/model.h"

namespace linnet {

// The first token of a continuation is scored by the prompt's own logits; each further one needs a
// row after it. Forks are clones of the prompt's state, PlacesOf(job) at most at a time. Used by
// one thread.
class ContinuationScorer {
 public:
  using Tell = std::function<void(size_t index, const ContinuationScore& score)>;

  // `after`: the end of the prompt, with logits. It and the others outlive the scorer.
  ContinuationScorer(const Model& model, const Job& job, const Snapshot& after);

  // Scores the first tokens, and tells what is complete by them. Call once, first.
  void Begin(const Tell& tell);

  // Rows that may be added to the next pass, beyond those planned.
  size_t room() const;
  void Plan(size_t rows) { planned_ += rows; }
  size_t planned() const { return planned_; }
  // Appends the shares of the next pass with the planned rows. `logits`: memory for those of all of
  // them. Throws std::bad_alloc, Error as State::Clone.
  void AddShares(std::span<float> logits, std::vector<Share>& shares);
  // After that pass, with the same shares; the first error of one of them.
  std::optional<Error> Take(std::span<const Share> shares, Workspace& workspace, const Tell& tell);

  bool done() const { return forks_.empty() && next_ == longer_.size(); }
  size_t forks() const { return forks_.size(); }

 private:
  struct Fork {
    size_t index;
    Sequence sequence;
    size_t in_pass = 0;  // rows of the pass that is planned
  };

  const std::vector<int32_t>& TokensOf(const Fork& fork) const;
  size_t RowsLeft(const Fork& fork) const;

  const Job& job_;
  const size_t vocab_, places_;
  const Snapshot& after_;
  std::vector<ContinuationScore> scores_;
  std::vector<size_t> longer_;  // continuations that need rows
  size_t next_ = 0;             // of these, the first that has no fork yet
  std::list<Fork> forks_;
  size_t planned_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_CONTINUATION_SCORER_H_
