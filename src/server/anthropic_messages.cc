#include "server/anthropic_messages.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/anthropic_request.h"
#include "server/chat_job.h"
#include "server/error_forms.h"
#include "server/new_id.h"

namespace linnet {
namespace {

// A request's own part of its answer.
struct AnthropicHead {
  HttpRequest request;  // without its body: for errors and headers
  std::string model;
  bool hides_thoughts = false;
  std::string id = NewId("msg_");

  HttpHeaders headers() const { return {{"request-id", request.id}}; }
};

OrderedJson MessageJson(const AnthropicHead& head, OrderedJson content) {
  return {{"id", head.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", head.model},
          {"content", std::move(content)},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr}};
}

// The three numbers of the input add up to the prompt: what was found in the cache, what was read
// and is in it now, and the rest.
OrderedJson TokensJson(const ChatUsage& usage) {
  const size_t kept = std::max(usage.kept_tokens, usage.cached_tokens);
  return {{"input_tokens", usage.prompt_tokens - kept},
          {"cache_creation_input_tokens", kept - usage.cached_tokens},
          {"cache_read_input_tokens", usage.cached_tokens},
          {"output_tokens", usage.completion_tokens},
          {"output_tokens_details", {{"thinking_tokens", usage.reasoning_tokens}}}};
}

void SetReason(OrderedJson& holder, const ChatEnding& ending) {
  const auto reason = [&]() -> const char* {
    switch (ending.finish) {
      case ChatFinish::kStop:
        return ending.stop.empty() ? "end_turn" : "stop_sequence";
      case ChatFinish::kCalls:
        return "tool_use";
      default:  // of tokens, or of time
        return "max_tokens";
    }
  };
  holder["stop_reason"] = reason();
  holder["stop_sequence"] = nullptr;
  if (!ending.stop.empty()) holder["stop_sequence"] = ending.stop;
}

// The reader's ids begin with "call_".
std::string ToolUseId(const std::string& id) { return "toolu_" + id.substr(id.find('_') + 1); }

OrderedJson ThinkingJson(std::string_view text) {
  return {{"type", "thinking"}, {"thinking", text}, {"signature", ""}};
}

OrderedJson ToolUseJson(const std::string& id, const std::string& name, OrderedJson input) {
  return {{"type", "tool_use"}, {"id", ToolUseId(id)}, {"name", name}, {"input", std::move(input)}};
}

// Writes blocks, one open at a time.
class AnthropicStream : public ChatEvents {
 public:
  AnthropicStream(std::shared_ptr<HttpReply> reply, AnthropicHead head)
      : reply_(std::move(reply)), head_(std::move(head)) {}

  void OnStart() override {
    if (std::exchange(begun_, true)) return;
    reply_->BeginStream(200, "text/event-stream", head_.headers());
  }

  void OnPrompt(const PromptRead& read) override {
    Greet({.prompt_tokens = read.tokens, .cached_tokens = read.cached, .kept_tokens = read.kept});
  }

  void OnThought(size_t /*choice*/, std::string_view text) override {
    Open(Block::kThinking, ThinkingJson(""));
    if (!head_.hides_thoughts) Delta({{"type", "thinking_delta"}, {"thinking", text}});
  }

  void OnText(size_t /*choice*/, std::string_view text,
              std::span<const TokenInfo> /*tokens*/) override {
    if (text.empty()) return;
    Open(Block::kText, {{"type", "text"}, {"text", ""}});
    Delta({{"type", "text_delta"}, {"text", text}});
  }

  void OnCall(size_t /*choice*/, size_t /*call*/, const std::string& id,
              const std::string& name) override {
    Close();
    Open(Block::kToolUse, ToolUseJson(id, name, OrderedJson::object()));
  }

  void OnArguments(size_t /*choice*/, size_t /*call*/, std::string_view json) override {
    Delta({{"type", "input_json_delta"}, {"partial_json", json}});
  }

  void OnEnd(size_t /*choice*/, const ChatEnding& ending) override {
    Close();
    ending_ = ending;
  }

  void OnDone(const ChatUsage& usage) override {
    reply_->CountTokens(usage.prompt_tokens + usage.completion_tokens);
    Greet(usage);
    OrderedJson delta = OrderedJson::object();
    SetReason(delta, ending_);
    Event("message_delta", {{"delta", std::move(delta)}, {"usage", TokensJson(usage)}});
    Event("message_stop", OrderedJson::object());
    reply_->End();
  }

  void OnError(const Error& error) override {
    if (!begun_) {
      SendErrorTo(head_.request, *reply_, error);
      return;
    }
    reply_->Write("event: error\ndata: " +
                  ErrorText(ErrorForm::kAnthropic, AnswerOf(error), head_.request.id) + "\n\n");
    reply_->End();
  }

 private:
  enum class Block : uint8_t { kNone, kThinking, kText, kToolUse };

  void Event(const char* type, const OrderedJson& fields) {
    OrderedJson event = {{"type", type}};
    event.update(fields);
    reply_->Write(std::string("event: ") + type + "\ndata: " + Dump(event) + "\n\n");
  }

  // The message's start, with what the prompt has cost.
  void Greet(const ChatUsage& usage) {
    OnStart();
    if (std::exchange(greeted_, true)) return;
    OrderedJson message = MessageJson(head_, OrderedJson::array());
    message["usage"] = TokensJson(usage);
    Event("message_start", {{"message", std::move(message)}});
  }

  void Open(Block block, OrderedJson content) {
    if (open_ == block) return;
    Close();
    open_ = block;
    Event("content_block_start", {{"index", index_}, {"content_block", std::move(content)}});
  }

  void Delta(OrderedJson delta) {
    Event("content_block_delta", {{"index", index_}, {"delta", std::move(delta)}});
  }

  void Close() {
    if (open_ == Block::kNone) return;
    // Clients wait for a signature before they take a thought as whole.
    if (open_ == Block::kThinking) Delta({{"type", "signature_delta"}, {"signature", ""}});
    Event("content_block_stop", {{"index", index_++}});
    open_ = Block::kNone;
  }

  std::shared_ptr<HttpReply> reply_;
  AnthropicHead head_;
  bool begun_ = false, greeted_ = false;
  Block open_ = Block::kNone;
  size_t index_ = 0;
  ChatEnding ending_;
};

// Answers at the end.
class WholeMessage : public ChatCollector {
 public:
  WholeMessage(std::shared_ptr<HttpReply> reply, AnthropicHead head)
      : reply_(std::move(reply)), head_(std::move(head)) {}

  void OnDone(const ChatUsage& usage) override {
    reply_->CountTokens(usage.prompt_tokens + usage.completion_tokens);
    const ChatReply none, &said = replies().empty() ? none : replies().front();
    OrderedJson answer = MessageJson(head_, Content(said.message));
    SetReason(answer, said.ending);
    answer["usage"] = TokensJson(usage);
    reply_->Send(200, Dump(answer), "application/json", head_.headers());
  }

  void OnError(const Error& error) override { SendErrorTo(head_.request, *reply_, error); }

 private:
  OrderedJson Content(const ChatMessage& said) const {
    OrderedJson content = OrderedJson::array();
    if (!said.thoughts.empty()) {
      content.push_back(ThinkingJson(head_.hides_thoughts ? "" : said.thoughts));
    }
    if (!said.text.empty()) content.push_back({{"type", "text"}, {"text", said.text}});
    for (const ChatCall& call : said.calls) {
      // A call that the limit of tokens cut has no arguments that could be an object.
      OrderedJson input = OrderedJson::parse(call.arguments, nullptr, false);
      if (input.is_object()) content.push_back(ToolUseJson(call.id, call.name, std::move(input)));
    }
    return content;
  }

  std::shared_ptr<HttpReply> reply_;
  AnthropicHead head_;
};

std::shared_ptr<const ServedModel> FindOfFamily(const ServedModels& models,
                                                const std::string& name) {
  auto served = models.FindIfServed(name);
  if (served == nullptr && name.starts_with("claude")) return models.Find("");
  return served != nullptr ? served : models.Find(name);
}

AnthropicRequest ReadRequest(const RouteCall& call) {
  AnthropicRequest request = ParseAnthropic(ParseBody(call.request.body));
  request.chat.owner = call.request.owner;
  return request;
}

void AnswerMessage(const ServedModels& models, const RouteCall& call) {
  const AnthropicRequest request = ReadRequest(call);
  const auto served = FindOfFamily(models, request.chat.model);
  AnthropicHead head;
  head.request.id = call.request.id;
  head.request.path = call.request.path;
  head.model = served->name;
  head.hides_thoughts = request.hides_thoughts;
  std::shared_ptr<ChatEvents> events;
  if (request.chat.stream) {
    events = std::make_shared<AnthropicStream>(call.reply, std::move(head));
  } else {
    events = std::make_shared<WholeMessage>(call.reply, std::move(head));
  }
  CancelWhenGone(*call.reply, RunChat(served, request.chat, std::move(events)));
}

void CountMessageTokens(const ServedModels& models, const RouteCall& call) {
  const AnthropicRequest request = ReadRequest(call);
  const auto served = FindOfFamily(models, request.chat.model);
  call.reply->Send(200, Dump(OrderedJson{{"input_tokens", PromptTokens(*served, request.chat)}}),
                   "application/json", {{"request-id", call.request.id}});
}

}  // namespace

void AddAnthropicRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/v1/messages",
             [models](const RouteCall& call) { AnswerMessage(*models, call); });
  router.Add("POST", "/v1/messages/count_tokens",
             [models](const RouteCall& call) { CountMessageTokens(*models, call); });
}

}  // namespace linnet
