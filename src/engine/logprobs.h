// Log-probabilities of tokens, from logits.
#ifndef LINNET_ENGINE_LOGPROBS_H_
#define LINNET_ENGINE_LOGPROBS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/job.h"

namespace linnet {

// `id` with its log-probability under the logits [V], all finite, at temperature 1, and the `count`
// likeliest tokens with theirs, the likeliest first; among equal ones the lowest id. Thread-safe.
TokenInfo InfoOf(int32_t id, std::span<const float> logits, size_t count);
// The same of many tokens at one place, for which the logits are looked through once.
std::vector<TokenInfo> InfosOf(std::span<const int32_t> ids, std::span<const float> logits,
                               size_t count);

}  // namespace linnet

#endif  // LINNET_ENGINE_LOGPROBS_H_
