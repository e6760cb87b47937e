// Log-probabilities of tokens, from logits.
#ifndef LINNET_ENGINE_LOGPROBS_H_
#define LINNET_ENGINE_LOGPROBS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/job.h"

namespace linnet {

// `id` with its log-probability under the logits [V], all finite, at temperature 1, and the `count`
// likeliest tokens with theirs, the likeliest first; among equal ones the lowest id. Thread-safe.
TokenInfo InfoOf(int32_t id, std::span<const float> logits, size_t count);

}  // namespace linnet

#endif  // LINNET_ENGINE_LOGPROBS_H_
