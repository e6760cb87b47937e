// ChatPlan: a ChatRequest as a job of the scheduler, and how to read what it writes.
#ifndef LINNET_SERVER_CHAT_PLAN_H_
#define LINNET_SERVER_CHAT_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/job.h"
#include "server/chat_request.h"
#include "server/reply_reader.h"
#include "server/served_model.h"
#include "text/chat_template.h"

namespace linnet {

struct ChatPlan {
  Job job{};
  ReplyForm form{};
  std::vector<std::string> stops{};  // those of the request, which a client is told about
};

// Throws RequestError: 400 for what the fields ask, 422 for functions if the template has none.
ChatPlan PlanChat(const ChatRequest& request, const ServedModel& served);

// The job that reads the conversation with this reply, as the next request will write it, and
// keeps a state there. Nothing if there is no use in it.
std::optional<Job> PlanWarming(const ChatRequest& request, const ChatMessage& reply,
                               const ServedModel& served);

// The prompt alone.
std::vector<int32_t> PromptOf(const ChatRequest& request, const ServedModel& served);

// The sampler of a request: what it does not set is `base`. A seed is drawn if none is given.
// Throws RequestError 400 for a logit bias outside the vocabulary.
SamplerOptions SamplerFor(const GenerationFields& fields, const SamplerOptions& base,
                          const ServedModel& served);

// Limits, stops and so on of a job that are the same for chat and for raw prompts. Does not set
// the prompt and the grammar.
Job JobFor(const GenerationFields& fields, const SamplerOptions& base, const std::string& owner,
           const ServedModel& served);

}  // namespace linnet

#endif  // LINNET_SERVER_CHAT_PLAN_H_
