// The loss of a text and its gradient with respect to every parameter.
#ifndef LINNET_MODELS_GRADIENT_H_
#define LINNET_MODELS_GRADIENT_H_

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "models/network.h"

namespace linnet {

// Adds to the gradients of a network bound with gradients. Returns the mean cross entropy of
// tokens[1:] given tokens[:-1] from the initial state, with exact (f32) products. `l2wrap` adds
// RWKV-LM's term to the gradient, not to the loss. Throws Error kBadInput for fewer than two tokens
// or ids outside the vocabulary.
double AddGradient(const Network& network, std::span<const int32_t> tokens, bool l2wrap,
                   ThreadPool& pool);

}  // namespace linnet

#endif  // LINNET_MODELS_GRADIENT_H_
