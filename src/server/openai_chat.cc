#include "server/openai_chat.h"

#include <utility>
#include <vector>

#include "server/chat_job.h"
#include "server/chat_request.h"
#include "server/openai_answer.h"

namespace linnet {
namespace {

struct AnswerOptions {
  bool usage = false;  // a last chunk with it
  bool logprobs = false;
  bool functions = false;  // calls in the old form, `function_call`
  size_t choices = 1;
};

OrderedJson FunctionJson(const std::string& name, std::string_view arguments) {
  return {{"name", name}, {"arguments", arguments}};
}

const char* ReasonOf(ChatFinish finish, const AnswerOptions& options) {
  return finish == ChatFinish::kCalls && options.functions ? "function_call" : FinishReason(finish);
}

// Writes a chunk for each event.
class ChatStream : public ChatEvents {
 public:
  ChatStream(std::shared_ptr<HttpReply> reply, std::shared_ptr<const ServedModel> served,
             const AnswerOptions& options)
      : stream_(std::move(reply)),
        served_(std::move(served)),
        options_(options),
        head_(AnswerHead("chatcmpl-", *served_).Json("chat.completion.chunk")) {}

  void OnStart() override {
    for (size_t choice = 0; choice < options_.choices; ++choice) {
      Delta(choice, {{"role", "assistant"}, {"content", ""}});
    }
  }

  void OnThought(size_t choice, std::string_view text) override {
    Delta(choice, {{"reasoning_content", text}, {"reasoning", text}});
  }

  void OnText(size_t choice, std::string_view text, std::span<const TokenInfo> tokens) override {
    if (!options_.logprobs) {
      if (!text.empty()) Delta(choice, {{"content", text}});
      return;
    }
    Delta(choice, {{"content", text}}, LogprobsJson(tokens, *served_->tokenizer));
  }

  void OnCall(size_t choice, size_t call, const std::string& id, const std::string& name) override {
    if (options_.functions) {
      if (call == 0) Delta(choice, {{"function_call", FunctionJson(name, "")}});
      return;
    }
    Delta(choice, {{"tool_calls",
                    {{{"index", call},
                      {"id", id},
                      {"type", "function"},
                      {"function", FunctionJson(name, "")}}}}});
  }

  void OnArguments(size_t choice, size_t call, std::string_view json) override {
    if (options_.functions) {
      if (call == 0) Delta(choice, {{"function_call", {{"arguments", json}}}});
      return;
    }
    OrderedJson piece = {{"index", call}, {"function", {{"arguments", json}}}};
    Delta(choice, {{"tool_calls", OrderedJson::array({std::move(piece)})}});
  }

  void OnEnd(size_t choice, const ChatEnding& ending) override {
    Delta(choice, OrderedJson::object(), nullptr, ReasonOf(ending.finish, options_));
  }

  void OnState(const ReplyState& state) override { state_ = StateAnswer(state); }

  void OnDone(const ChatUsage& usage) override {
    stream_.reply().CountTokens(usage.prompt_tokens + usage.completion_tokens);
    if (options_.usage || state_ != nullptr) {
      OrderedJson chunk = head_;
      chunk["choices"] = OrderedJson::array();
      if (options_.usage) chunk["usage"] = UsageJson(usage);
      if (state_ != nullptr) chunk["state"] = std::move(state_);
      stream_.Write(chunk);
    }
    stream_.Done();
  }

  void OnError(const Error& error) override { stream_.Fail(error); }

 private:
  void Delta(size_t choice, OrderedJson delta, OrderedJson logprobs = nullptr,
             const char* finish = nullptr) {
    OrderedJson chunk = head_;
    OrderedJson entry = {{"index", choice},
                         {"delta", std::move(delta)},
                         {"logprobs", std::move(logprobs)},
                         {"finish_reason", nullptr}};
    if (finish != nullptr) entry["finish_reason"] = finish;
    chunk["choices"] = OrderedJson::array({std::move(entry)});
    if (options_.usage) chunk["usage"] = nullptr;
    stream_.Write(chunk);
  }

  EventStream stream_;
  std::shared_ptr<const ServedModel> served_;
  AnswerOptions options_;
  OrderedJson head_;
  OrderedJson state_;  // null if there is none
};

// Answers at the end.
class WholeChat : public ChatCollector {
 public:
  WholeChat(std::shared_ptr<HttpReply> reply, std::shared_ptr<const ServedModel> served,
            const AnswerOptions& options)
      : reply_(std::move(reply)), served_(std::move(served)), options_(options) {}

  void OnDone(const ChatUsage& usage) override {
    reply_->CountTokens(usage.prompt_tokens + usage.completion_tokens);
    OrderedJson answer = AnswerHead("chatcmpl-", *served_).Json("chat.completion");
    OrderedJson choices = OrderedJson::array();
    for (size_t i = 0; i < replies().size(); ++i) choices.push_back(Choice(i, replies()[i]));
    answer["choices"] = std::move(choices);
    answer["usage"] = UsageJson(usage);
    if (state()) answer["state"] = StateAnswer(*state());
    reply_->Send(200, Dump(answer));
  }

  void OnError(const Error& error) override { SendError(*reply_, error); }

 private:
  OrderedJson Choice(size_t index, const ChatReply& reply) const {
    const ChatMessage& said = reply.message;
    OrderedJson message = {{"role", "assistant"}, {"content", said.text}, {"refusal", nullptr}};
    if (said.text.empty() && !said.calls.empty()) message["content"] = nullptr;
    if (!said.thoughts.empty()) {
      message["reasoning_content"] = said.thoughts;
      message["reasoning"] = said.thoughts;
    }
    if (options_.functions) {
      if (!said.calls.empty()) {
        message["function_call"] = FunctionJson(said.calls[0].name, said.calls[0].arguments);
      }
    } else if (!said.calls.empty()) {
      OrderedJson calls = OrderedJson::array();
      for (const ChatCall& call : said.calls) {
        calls.push_back({{"id", call.id},
                         {"type", "function"},
                         {"function", FunctionJson(call.name, call.arguments)}});
      }
      message["tool_calls"] = std::move(calls);
    }
    OrderedJson logprobs = nullptr;
    if (options_.logprobs) logprobs = LogprobsJson(reply.tokens, *served_->tokenizer);
    return {{"index", index},
            {"message", std::move(message)},
            {"logprobs", std::move(logprobs)},
            {"finish_reason", ReasonOf(reply.ending.finish, options_)}};
  }

  std::shared_ptr<HttpReply> reply_;
  std::shared_ptr<const ServedModel> served_;
  AnswerOptions options_;
};

void AnswerChat(const ServedModels& models, const RouteCall& call) {
  const Json body = ParseBody(call.request.body);
  ChatRequest request = ParseChat(body);
  request.owner = call.request.owner;
  const auto served = models.Find(request.model);
  const Fields fields(body);
  const AnswerOptions options{.usage = request.stream_usage,
                              .logprobs = request.generation.logprobs,
                              .functions = !fields.Has("tools") && fields.Has("functions"),
                              .choices = request.generation.choices};
  if (options.functions) request.parallel_calls = false;
  std::shared_ptr<ChatEvents> events;
  if (request.stream) {
    events = std::make_shared<ChatStream>(call.reply, served, options);
  } else {
    events = std::make_shared<WholeChat>(call.reply, served, options);
  }
  CancelWhenGone(*call.reply, RunChat(served, request, std::move(events)));
}

}  // namespace

void AddChat(Router& router, std::shared_ptr<const ServedModels> models) {
  const RouteHandler handler = [models = std::move(models)](const RouteCall& call) {
    AnswerChat(*models, call);
  };
  router.Add("POST", "/v1/chat/completions", handler);
  router.Add("POST", "/chat/completions", handler);
}

}  // namespace linnet
