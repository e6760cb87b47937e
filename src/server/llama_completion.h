// POST /completion: llama-server's own continuations of raw prompts.
#ifndef LINNET_SERVER_LLAMA_COMPLETION_H_
#define LINNET_SERVER_LLAMA_COMPLETION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/job.h"
#include "server/completion_request.h"
#include "server/json_fields.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

struct LlamaRequest {
  std::string model{};
  std::vector<std::vector<int32_t>> prompts{};  // at least one
  bool is_list = false;                         // answered by a list
  CompletionRequest request{};                  // all but the prompts
  bool return_tokens = false, timings_per_token = false;
  std::vector<std::string> response_fields{};  // of the answer; empty: all
};

// A prompt is a text, token ids or a list of both; several are a list of prompts. Fields of
// samplers that do not exist here are ignored, post_sampling_probs is refused. Throws RequestError.
LlamaRequest ParseLlama(const Json& body, const ServedModels& models);

// Whether a body for /completions, which both OpenAI's clients and llama-server's may mean, is
// llama-server's: it has one of that server's fields and none of OpenAI's.
bool IsLlamaBody(const Json& body);

// llama-server's `generation_settings`.
OrderedJson LlamaSettings(const Job& job, bool stream);

// /completion, and /completions for both kinds of clients.
void AddLlamaCompletion(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_LLAMA_COMPLETION_H_
