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

// The conversation as the next request will write it, but for the reply.
struct ChatPast {
  std::vector<int32_t> tokens{};  // of its text up to a token's end
  std::string rest{};             // the text after them
  std::string begun{};            // what the reply goes on from
};

struct ChatPlan {
  Job job{};
  ReplyForm form{};
  std::vector<std::string> stops{};  // those of the request, which a client is told about
  // If there is a cache to be warmed, or a state after the answer is wanted; then state_at of the
  // job is how far the prompt goes along with it.
  std::optional<ChatPast> past{};
};

// Throws RequestError: 400 for what the fields ask, 422 for functions if the template has none.
ChatPlan PlanChat(const ChatRequest& request, const ServedModel& served);

// The tokens of the conversation with this reply. Takes time that grows with the reply, not with
// the conversation.
std::vector<int32_t> TokensOf(const ChatPast& past, ChatMessage reply, const ServedModel& served);

// The job that reads the conversation with this reply and keeps a state at its end. Nothing if
// there is no use in it.
std::optional<Job> PlanWarming(const ChatPast& past, ChatMessage reply, const std::string& owner,
                               const ServedModel& served);

// The conversation with this reply in tokens, as ChatRequest::before of the next request.
std::vector<int32_t> ConversationTokens(const ChatRequest& request, const ChatMessage& reply,
                                        const ServedModel& served);

// The prompt alone, as tokens or as the text that they are made of.
std::string PromptTextOf(const ChatRequest& request, const ServedModel& served);
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
