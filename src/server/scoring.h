// What the routes that score given texts have in common: their jobs, and choices by their scores.
#ifndef LINNET_SERVER_SCORING_H_
#define LINNET_SERVER_SCORING_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/job.h"

namespace linnet {

// A job that scores continuations after a context; an empty one is token 0, which starts a text.
// States are kept where another request with this context, or with a longer one, can go on.
Job ScoringJob(std::vector<int32_t> context, std::vector<std::vector<int32_t>> continuations,
               const std::string& owner);

// A choice: its log-probability after the prompt, and after a neutral one.
struct ChoiceScore {
  double logprob = 0, neutral = 0;  // sums over its tokens
  size_t tokens = 0, neutral_tokens = 0;
};

enum class ChoiceNorm : uint8_t {
  kTokens,  // the mean over the tokens, as Ai00 compares choices
  kNone,    // the sum
};

struct RankedChoice {
  size_t index = 0;  // among the given ones
  double score = 0;
  double probability = 0;  // the softmax of the scores
};

// The best first; among equal ones the first. The score is the mean or sum of log-probabilities
// after the prompt, less that after the neutral prompt if `calibrate`. Every choice has tokens.
std::vector<RankedChoice> RankChoices(std::span<const ChoiceScore> choices, ChoiceNorm norm,
                                      bool calibrate);

// exp(x) / sum of exp(x).
std::vector<double> SoftmaxOf(std::span<const double> values);

}  // namespace linnet

#endif  // LINNET_SERVER_SCORING_H_
