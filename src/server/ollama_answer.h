// OllamaAnswer: the answer of /api/chat and /api/generate, as lines of JSON or whole.
#ifndef LINNET_SERVER_OLLAMA_ANSWER_H_
#define LINNET_SERVER_OLLAMA_ANSWER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/http.h"
#include "server/chat_events.h"
#include "server/json_fields.h"
#include "server/served_model.h"

namespace linnet {

struct OllamaAnswerOptions {
  std::string model{};  // as the client calls it
  bool chat = false;    // `message` instead of `response`
  bool stream = false;
  bool logprobs = false;
  // The field `context` for this reply; empty: the answer has none.
  std::function<std::vector<int32_t>(const ChatMessage& reply)> context{};
};

// Streams what comes; calls of functions come when they are whole, in a line of their own before
// the last. Durations are measured: `load_duration` is the time in the queue, since models are
// loaded before the server listens.
class OllamaAnswer : public ChatCollector {
 public:
  // `request` is the one that is answered; only its id and path are kept.
  OllamaAnswer(std::shared_ptr<HttpReply> reply, const HttpRequest& request,
               std::shared_ptr<const ServedModel> served, OllamaAnswerOptions options);

  void OnStart() override;
  void OnPrompt(const PromptRead& read) override;
  void OnThought(size_t choice, std::string_view text) override;
  void OnText(size_t choice, std::string_view text, std::span<const TokenInfo> tokens) override;
  void OnDone(const ChatUsage& usage) override;
  void OnError(const Error& error) override;

 private:
  using Clock = std::chrono::steady_clock;

  // Text and thoughts, as the answer's form has them.
  OrderedJson Said(std::string_view text, std::string_view thoughts) const;
  OrderedJson LogprobList(std::span<const TokenInfo> tokens) const;
  OrderedJson CallList(const ChatMessage& said) const;
  void Line(const OrderedJson& line);

  std::shared_ptr<HttpReply> reply_;
  HttpRequest request_;
  std::shared_ptr<const ServedModel> served_;
  OllamaAnswerOptions options_;
  bool begun_ = false;
  const Clock::time_point asked_ = Clock::now();
  Clock::time_point started_ = asked_, read_ = asked_;
};

// Answers a request that only loads a model: it is loaded.
void AnswerLoaded(HttpReply& reply, const OllamaAnswerOptions& options);

// Nanoseconds since then, at least 1, so that a rate can be computed.
int64_t NanosecondsSince(std::chrono::steady_clock::time_point start);

}  // namespace linnet

#endif  // LINNET_SERVER_OLLAMA_ANSWER_H_
