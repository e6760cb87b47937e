// ScoreContinuations: log-likelihoods of many continuations, with what they share read once.
#ifndef LINNET_EVAL_SCORING_H_
#define LINNET_EVAL_SCORING_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {

// The tokens from `scored` (> 0) on are the continuation; those before are its context.
struct TokenRequest {
  std::vector<int32_t> tokens{};
  size_t scored = 1;
};

struct TokenScore {
  double logprob = 0;  // natural, the sum over the continuation's tokens; 0 if it has none
  bool greedy = true;  // whether each is the likeliest after those before it
};

struct ScoringOptions {
  size_t rows = 512;         // tokens of all sequences in one pass
  size_t logit_rows = 128;   // of them, those whose logits are in memory
  uint64_t state_bytes = 0;  // that states may take; 0: a quarter of the available memory
  // Tokens run and to be run, after each pass; what it throws ends the call.
  std::function<void(size_t done, size_t total)> progress{};
  // A request's score is complete.
  std::function<void(size_t index, const TokenScore& score)> scored{};
};

// One score for each request. The requests are a tree of tokens: a beginning that some of them have
// in common, such as a context or the examples before a question, is run once, and its state
// forked. A pass takes tokens of as many sequences as fit. Since logits do not depend on company,
// scores depend on nothing but the request's tokens, the model and the workspace's mode. Throws
// Error kBadInput for a request without context or an id outside the vocabulary.
std::vector<TokenScore> ScoreContinuations(const Model& model, Workspace& workspace,
                                           std::span<const TokenRequest> requests,
                                           const ScoringOptions& options = {});

// The tokens of a context and a continuation as lm-evaluation-harness divides them: blanks at the
// context's end belong to the continuation, and the continuation is what the whole has beyond as
// many tokens as the context alone. `pad` is put before both. An empty context without `pad` is
// token 0, unless the continuation begins with it.
TokenRequest EncodePair(const Tokenizer& tokenizer, std::span<const int32_t> pad,
                        std::string_view context, std::string_view continuation);

}  // namespace linnet

#endif  // LINNET_EVAL_SCORING_H_
