// Divergence: how far a model's predictions on a text differ from another model's.
#ifndef LINNET_EVAL_DIVERGENCE_H_
#define LINNET_EVAL_DIVERGENCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "linnet/model.h"

namespace linnet {

// Over all tokens of a text, each predicted from the tokens before it and token 0.
struct Divergence {
  double kl = 0;                   // mean of KL(reference ‖ other), nats per token
  double largest_kl = 0;           // of one token
  double largest_logit_error = 0;  // absolute
  double same_choice = 0;          // fraction of tokens with the same most likely next token
  double reference_nats = 0, other_nats = 0;  // cross entropy, summed over the tokens
  size_t tokens = 0;
};

// Both models must have the same vocabulary, else Error kBadInput. `progress` gets the number of
// tokens done. Uses the workspace's threads.
Divergence Compare(const Model& reference, const Model& other, Workspace& workspace,
                   std::span<const int32_t> tokens,
                   const std::function<void(size_t)>& progress = {});

}  // namespace linnet

#endif  // LINNET_EVAL_DIVERGENCE_H_
