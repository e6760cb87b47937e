// DraftModel: a small model that reads along with a text and guesses how it goes on.
#ifndef LINNET_ENGINE_DRAFT_MODEL_H_
#define LINNET_ENGINE_DRAFT_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/state.h"

namespace linnet {

// Reads what the text has only when it is to guess, in one pass. Not thread-safe.
class DraftModel {
 public:
  explicit DraftModel(std::shared_ptr<const Model> model);

  // The text has these further tokens.
  void Read(std::span<const int32_t> tokens);
  // The next `count` tokens, each drawn from this model's logits by a copy of the text's sampler:
  // at any temperature both models draw with the same random numbers, so that they often agree.
  // Fewer if no token can be drawn. Throws what Model::Forward throws.
  std::vector<int32_t> Guess(size_t count, const Sampler& sampler, Workspace& workspace);

  double guess_s() const { return guess_s_; }  // that one takes; 0 before the first
  double took_s() const { return took_s_; }    // the last Guess, with what it had to read first

 private:
  std::shared_ptr<const Model> model_;
  State state_;                  // after the tokens that were read
  State ahead_;                  // after guesses
  std::vector<int32_t> unread_;  // of the text
  std::vector<float> logits_, ahead_logits_;
  double guess_s_ = 0, took_s_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_DRAFT_MODEL_H_
