#include "server/ollama_answer.h"

#include <algorithm>
#include <utility>

#include "base/utc_time.h"
#include "server/error_forms.h"
#include "server/openai_answer.h"

namespace linnet {
namespace {

constexpr const char* kLines = "application/x-ndjson";

OrderedJson HeadOf(const OllamaAnswerOptions& options) {
  return {{"model", options.model}, {"created_at", UtcTime(std::chrono::system_clock::now())}};
}

OrderedJson SaidIn(const OllamaAnswerOptions& options, std::string_view text) {
  if (!options.chat) return {{"response", text}};
  return {{"message", {{"role", "assistant"}, {"content", text}}}};
}

int64_t Nanoseconds(std::chrono::steady_clock::duration time) {
  return std::max<int64_t>(1, std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

}  // namespace

int64_t NanosecondsSince(std::chrono::steady_clock::time_point start) {
  return Nanoseconds(std::chrono::steady_clock::now() - start);
}

OllamaAnswer::OllamaAnswer(std::shared_ptr<HttpReply> reply, const HttpRequest& request,
                           std::shared_ptr<const ServedModel> served, OllamaAnswerOptions options)
    : reply_(std::move(reply)), served_(std::move(served)), options_(std::move(options)) {
  request_.id = request.id;
  request_.path = request.path;
}

void OllamaAnswer::OnStart() {
  started_ = read_ = Clock::now();
  if (!options_.stream || std::exchange(begun_, true)) return;
  reply_->BeginStream(200, kLines);
}

void OllamaAnswer::OnPrompt(const PromptRead& read) {
  ChatCollector::OnPrompt(read);
  read_ = Clock::now();
}

OrderedJson OllamaAnswer::Said(std::string_view text, std::string_view thoughts) const {
  OrderedJson said = SaidIn(options_, text);
  if (!thoughts.empty()) (options_.chat ? said["message"] : said)["thinking"] = thoughts;
  return said;
}

OrderedJson OllamaAnswer::LogprobList(std::span<const TokenInfo> tokens) const {
  OrderedJson list = OrderedJson::array();
  for (const TokenInfo& token : tokens) list.push_back(LogprobJson(token, *served_->tokenizer));
  return list;
}

void OllamaAnswer::Line(const OrderedJson& line) {
  if (!std::exchange(begun_, true)) reply_->BeginStream(200, kLines);
  reply_->Write(Dump(line) + "\n");
}

void OllamaAnswer::OnThought(size_t choice, std::string_view text) {
  ChatCollector::OnThought(choice, text);
  if (!options_.stream) return;
  OrderedJson line = HeadOf(options_);
  line.update(Said("", text));
  line["done"] = false;
  Line(line);
}

void OllamaAnswer::OnText(size_t choice, std::string_view text, std::span<const TokenInfo> tokens) {
  ChatCollector::OnText(choice, text, options_.stream ? tokens.first(0) : tokens);
  if (!options_.stream || (text.empty() && !options_.logprobs)) return;
  OrderedJson line = HeadOf(options_);
  line.update(Said(text, ""));
  line["done"] = false;
  if (options_.logprobs) line["logprobs"] = LogprobList(tokens);
  Line(line);
}

OrderedJson OllamaAnswer::CallList(const ChatMessage& said) const {
  OrderedJson calls = OrderedJson::array();
  for (const ChatCall& call : said.calls) {
    // A call that the limit of tokens cut has no arguments that could be an object.
    OrderedJson arguments = OrderedJson::parse(call.arguments, nullptr, false);
    if (!arguments.is_object()) continue;
    calls.push_back(
        {{"id", call.id},
         {"function",
          {{"index", calls.size()}, {"name", call.name}, {"arguments", std::move(arguments)}}}});
  }
  return calls;
}

void OllamaAnswer::OnDone(const ChatUsage& usage) {
  const Clock::time_point end = Clock::now();
  reply_->CountTokens(usage.prompt_tokens + usage.completion_tokens);
  const ChatReply none, &said = replies().empty() ? none : replies().front();
  OrderedJson calls = CallList(said.message);
  if (options_.stream && !calls.empty()) {
    OrderedJson line = HeadOf(options_);
    line.update(Said("", ""));
    line["message"]["tool_calls"] = std::exchange(calls, OrderedJson::array());
    line["done"] = false;
    Line(line);
  }
  OrderedJson last = HeadOf(options_);
  last.update(options_.stream ? Said("", "") : Said(said.message.text, said.message.thoughts));
  if (!calls.empty()) last["message"]["tool_calls"] = std::move(calls);
  const bool whole =
      said.ending.finish == ChatFinish::kStop || said.ending.finish == ChatFinish::kCalls;
  last.update({{"done", true}, {"done_reason", whole ? "stop" : "length"}});
  if (options_.context) last["context"] = options_.context(said.message);
  last.update({{"total_duration", Nanoseconds(end - asked_)},
               {"load_duration", Nanoseconds(started_ - asked_)},
               {"prompt_eval_count", usage.prompt_tokens},
               {"prompt_eval_duration", Nanoseconds(read_ - started_)},
               {"eval_count", usage.completion_tokens},
               {"eval_duration", Nanoseconds(end - read_)}});
  if (options_.logprobs && !options_.stream) last["logprobs"] = LogprobList(said.tokens);
  if (!options_.stream) {
    reply_->Send(200, Dump(last));
    return;
  }
  Line(last);
  reply_->End();
}

void OllamaAnswer::OnError(const Error& error) {
  if (!begun_) {
    SendErrorTo(request_, *reply_, error);
    return;
  }
  reply_->Write(ErrorText(ErrorForm::kOllama, AnswerOf(error), request_.id) + "\n");
  reply_->End();
}

void AnswerLoaded(HttpReply& reply, const OllamaAnswerOptions& options) {
  OrderedJson line = HeadOf(options);
  line.update(SaidIn(options, ""));
  line.update({{"done", true}, {"done_reason", "load"}});
  const std::string text = Dump(line);
  if (!options.stream) {
    reply.Send(200, text);
    return;
  }
  reply.BeginStream(200, kLines);
  reply.Write(text + "\n");
  reply.End();
}

}  // namespace linnet
