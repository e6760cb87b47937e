// Parts of OpenAI's answers that several routes have in common.
#ifndef LINNET_SERVER_OPENAI_ANSWER_H_
#define LINNET_SERVER_OPENAI_ANSWER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/job.h"
#include "http/http.h"
#include "linnet/tokenizer.h"
#include "server/chat_events.h"
#include "server/json_fields.h"
#include "server/served_model.h"

namespace linnet {

// id, object, created, model and system_fingerprint: the same in every chunk of an answer.
struct AnswerHead {
  std::string id, model, fingerprint;
  int64_t created = 0;

  AnswerHead(const char* prefix, const ServedModel& served);
  OrderedJson Json(const char* object) const;
};

// "stop", "length", "tool_calls"; a cancelled text has "length", as one that ran out of time.
const char* FinishReason(ChatFinish finish);

// The usage object of chat and of completions.
OrderedJson UsageJson(const ChatUsage& usage);

// One token with its probability as chat tells it: token, logprob, bytes, top_logprobs.
OrderedJson LogprobJson(const TokenInfo& token, const Tokenizer& tokenizer);
// {"content":[…],"refusal":null}
OrderedJson LogprobsJson(std::span<const TokenInfo> tokens, const Tokenizer& tokenizer);

// A stream of server-sent events, each a JSON object on a `data:` line. Not thread-safe.
class EventStream {
 public:
  explicit EventStream(std::shared_ptr<HttpReply> reply) : reply_(std::move(reply)) {}

  void Begin();
  void Write(const OrderedJson& chunk);
  void Done();  // writes [DONE] and ends
  void End();   // without [DONE]
  // An error: as an answer of its own, or in the stream if that has begun.
  void Fail(const Error& error);
  HttpReply& reply() { return *reply_; }

 private:
  std::shared_ptr<HttpReply> reply_;
  bool begun_ = false;
};

}  // namespace linnet

#endif  // LINNET_SERVER_OPENAI_ANSWER_H_
