// CompletionRequest: texts to be continued as they are, without a chat template.
#ifndef LINNET_SERVER_COMPLETION_REQUEST_H_
#define LINNET_SERVER_COMPLETION_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/chat_request.h"
#include "server/served_model.h"

namespace linnet {

struct CompletionPrompt {
  std::string text{};
  std::vector<int32_t> ids{};  // instead of a text
  bool is_ids = false;

  bool empty() const { return is_ids ? ids.empty() : text.empty(); }
};

struct CompletionRequest {
  std::string model{};
  std::vector<CompletionPrompt> prompts{};  // at least one
  std::optional<std::string> suffix{};      // what comes after the text that is written
  bool echo = false;                        // the answer begins with the prompt
  size_t best_of = 1;  // choices that are written; generation.choices are given
  GenerationFields generation{};
  bool stream = false, stream_usage = false;
  std::string owner{};
};

// A request of /v1/completions. Throws RequestError.
CompletionRequest ParseCompletion(const Json& body);

// A string, token ids, or a list of either; `body` has it as `prompt`. At least one.
std::vector<CompletionPrompt> ParsePrompts(const Fields& body);

// The tokens of a prompt, with the suffix that is to follow the answer, if there is one. Throws
// RequestError 400 for an id outside the vocabulary.
std::vector<int32_t> PromptIds(const CompletionPrompt& prompt,
                               const std::optional<std::string>& suffix, const ServedModel& served);

}  // namespace linnet

#endif  // LINNET_SERVER_COMPLETION_REQUEST_H_
