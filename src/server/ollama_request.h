// Requests of Ollama's /api/chat and /api/generate.
#ifndef LINNET_SERVER_OLLAMA_REQUEST_H_
#define LINNET_SERVER_OLLAMA_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/chat_request.h"
#include "server/completion_request.h"
#include "server/json_fields.h"
#include "server/served_model.h"

namespace linnet {

// What /api/chat and /api/generate are asked for: a conversation, or a text as it is.
struct OllamaRequest {
  std::string model{};  // as it was sent
  bool only_loads = false;
  // Of the sampling and the format, in both cases.
  ChatRequest chat{};
  // Instead of the conversation: `raw`, `template` or `suffix` of /api/generate. The prompt is
  // `before` of the chat and this.
  std::optional<CompletionRequest> text{};
  bool raw = false;
  bool thoughts = false;  // asked for by name: an error if the model has none
};

// Throw RequestError naming the field. Streams unless `stream` is false. `options` are those of
// ParseGeneration and num_predict; what means nothing here (num_ctx, repeat_penalty, …) is ignored.
// Images are refused.
OllamaRequest ParseOllamaChat(const Json& body);
OllamaRequest ParseOllamaGenerate(const Json& body);

// `think` and tools of a model that has none, and ids of `context` outside the vocabulary. In the
// words by which Ollama's clients know these errors.
void CheckAbilities(const OllamaRequest& request, const ServedModel& served);

// `keep_alive`: models stay where they are, so that only its type is checked.
void CheckKeepAlive(const Fields& body);

}  // namespace linnet

#endif  // LINNET_SERVER_OLLAMA_REQUEST_H_
