#include "server/openai_answer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "server/new_id.h"
#include "server/openai_errors.h"
#include "server/router.h"
#include "text/utf8.h"

namespace linnet {
namespace {

// JSON has no infinity; OpenAI gives this for what cannot be.
double Finite(float logprob) {
  constexpr float kLeast = -9999;
  return static_cast<double>(std::isnan(logprob) ? kLeast : std::max(logprob, kLeast));
}

OrderedJson TokenJson(int32_t id, float logprob, const Tokenizer& tokenizer) {
  const std::string_view bytes = tokenizer.Bytes(id);
  OrderedJson list = OrderedJson::array();
  for (const char byte : bytes) list.push_back(static_cast<uint8_t>(byte));
  return {{"token", ValidUtf8(bytes)}, {"logprob", Finite(logprob)}, {"bytes", std::move(list)}};
}

}  // namespace

AnswerHead::AnswerHead(const char* prefix, const ServedModel& served)
    : id(NewId(prefix)),
      model(served.name),
      fingerprint(served.model == nullptr ? "fp_linnet"
                                          : "fp_" + served.model->hash().substr(0, 10)),
      created(std::chrono::duration_cast<std::chrono::seconds>(
                  std::chrono::system_clock::now().time_since_epoch())
                  .count()) {}

OrderedJson AnswerHead::Json(const char* object) const {
  return {{"id", id},
          {"object", object},
          {"created", created},
          {"model", model},
          {"system_fingerprint", fingerprint}};
}

const char* FinishReason(ChatFinish finish) {
  switch (finish) {
    case ChatFinish::kStop:
      return "stop";
    case ChatFinish::kCalls:
      return "tool_calls";
    default:
      return "length";
  }
}

OrderedJson UsageJson(const ChatUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"completion_tokens_details",
           {{"reasoning_tokens", usage.reasoning_tokens},
            {"accepted_prediction_tokens", usage.accepted_guesses},
            {"rejected_prediction_tokens", usage.rejected_guesses}}}};
}

OrderedJson LogprobJson(const TokenInfo& token, const Tokenizer& tokenizer) {
  OrderedJson json = TokenJson(token.id, token.logprob, tokenizer);
  OrderedJson top = OrderedJson::array();
  for (const auto& [id, logprob] : token.top) top.push_back(TokenJson(id, logprob, tokenizer));
  json["top_logprobs"] = std::move(top);
  return json;
}

OrderedJson LogprobsJson(std::span<const TokenInfo> tokens, const Tokenizer& tokenizer) {
  OrderedJson content = OrderedJson::array();
  for (const TokenInfo& token : tokens) content.push_back(LogprobJson(token, tokenizer));
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

void EventStream::Begin() {
  if (begun_) return;
  begun_ = true;
  reply_->BeginStream(200, "text/event-stream", {{"cache-control", "no-cache"}});
}

void EventStream::Write(const OrderedJson& chunk) {
  Begin();
  reply_->Write("data: " + Dump(chunk) + "\n\n");
}

void EventStream::Done() {
  Begin();
  reply_->Write("data: [DONE]\n\n");
  reply_->End();
}

void EventStream::End() {
  Begin();
  reply_->End();
}

void EventStream::Fail(const Error& error) {
  if (!begun_) {
    SendError(*reply_, error);
    return;
  }
  reply_->Write("data: " + AnswerOf(error).body + "\n\n");
  reply_->End();
}

}  // namespace linnet
