// GenerateAnswers: what a model writes after many prompts, for tasks that compare texts.
#ifndef LINNET_EVAL_ANSWERS_H_
#define LINNET_EVAL_ANSWERS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/continuation.h"
#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/tokenizer.h"

namespace linnet {

struct AnswerRequest {
  std::vector<int32_t> prompt{};  // at least one token
  ContinuationOptions text{};
  SamplerOptions sampler{};
};

struct AnswerOptions {
  size_t sequences = 64;     // at the same time
  uint64_t state_bytes = 0;  // as in ScoringOptions
  // Answers that are complete, of all.
  std::function<void(size_t done, size_t total)> progress{};
  std::function<void(size_t index, const std::string& text)> answered{};
};

// One text for each prompt, without the stop string that ended it. The texts do not depend on how
// many are written at once. Throws what Model::Forward throws.
std::vector<std::string> GenerateAnswers(const Model& model, const Tokenizer& tokenizer,
                                         Workspace& workspace,
                                         std::span<const AnswerRequest> requests,
                                         const AnswerOptions& options = {});

}  // namespace linnet

#endif  // LINNET_EVAL_ANSWERS_H_
