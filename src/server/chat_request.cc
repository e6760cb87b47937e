#include "server/chat_request.h"

#include <fmt/format.h>

#include <utility>

#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMostMessages = 65536, kMostParts = 4096, kMostCalls = 1024;
constexpr int64_t kMostChoices = 128, kMostTopLogprobs = 20;

ChatRole ParseRole(const Fields& message) {
  message.RequiredString("role");
  const auto role =
      message.Word("role", {"system", "developer", "user", "assistant", "tool", "function"});
  if (*role == "user") return ChatRole::kUser;
  if (*role == "assistant") return ChatRole::kAssistant;
  return *role == "tool" || *role == "function" ? ChatRole::kTool : ChatRole::kSystem;
}

// Some clients send the arguments as an object.
std::string ParseArguments(const Fields& function) {
  const Json* arguments = function.Find("arguments");
  if (arguments == nullptr) return "{}";
  if (arguments->is_object()) return Dump(*arguments);
  const std::string text = function.RequiredString("arguments");
  return text.empty() ? "{}" : text;
}

std::vector<ChatCall> ParseCalls(const Fields& message) {
  std::vector<ChatCall> calls;
  if (const Json* list = message.List("tool_calls", kMostCalls)) {
    calls.reserve(list->size());
    for (size_t i = 0; i < list->size(); ++i) {
      const Fields call((*list)[i], message.NameOf("tool_calls", i));
      const auto function = call.Object("function");
      if (!function) call.RequiredString("function");
      calls.push_back({.id = call.String("id").value_or(""),
                       .name = function->RequiredString("name"),
                       .arguments = ParseArguments(*function)});
    }
  } else if (const auto old = message.Object("function_call")) {
    calls.push_back({.name = old->RequiredString("name"), .arguments = ParseArguments(*old)});
  }
  return calls;
}

// What would be answered by something else than text.
void RefuseOtherMedia(const Fields& body) {
  for (const std::string& medium : body.Strings("modalities", 8)) {
    if (medium == "text") continue;
    throw RequestError(400,
                       "modalities asks for more than text, which is all that models here write",
                       "modalities", "unsupported_value");
  }
}

Thinking ParseThinking(const Fields& body) {
  Thinking thinking = ParseEffort(body, "reasoning_effort");
  if (const auto reasoning = body.Object("reasoning")) {
    const Thinking effort = ParseEffort(*reasoning, "effort");
    if (effort != Thinking::kDefault) thinking = effort;
  }
  if (const auto variables = body.Object("chat_template_kwargs")) {
    const auto enable = variables->Bool("enable_thinking");
    if (enable && !*enable) return Thinking::kOff;
    if (enable && (thinking == Thinking::kDefault || thinking == Thinking::kOff)) {
      return Thinking::kOn;
    }
  }
  return thinking;
}

}  // namespace

ChatMessage ParseMessage(const Fields& message) {
  ChatMessage parsed{.role = ParseRole(message)};
  const bool is_assistant = parsed.role == ChatRole::kAssistant;
  if (is_assistant) {
    for (const char* name : {"reasoning", "reasoning_content"}) {
      if (const auto thoughts = message.String(name)) parsed.thoughts = *thoughts;
    }
    parsed.calls = ParseCalls(message);
  }
  if (const Json* content = message.Find("content")) {
    parsed.text = ParseContent(*content, message.NameOf("content"));
  } else if (!is_assistant) {
    message.RequiredString("content");
  }
  if (parsed.text.empty() && is_assistant) parsed.text = message.String("refusal").value_or("");
  parsed.call_id = message.String("tool_call_id").value_or("");
  parsed.name = message.String("name").value_or("");
  return parsed;
}

std::string ParseContent(const Json& content, const std::string& where) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array() || content.size() > kMostParts) {
    throw RequestError(400,
                       fmt::format("{} is of type {}, expected a string or a list of at most {} "
                                   "parts",
                                   where, content.type_name(), kMostParts),
                       where, "invalid_type");
  }
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const Fields part(content[i], fmt::format("{}[{}]", where, i));
    const std::string type = part.String("type").value_or("text");
    const bool refusal = type == "refusal";
    if (!refusal && type != "text" && type != "input_text" && type != "output_text") {
      throw RequestError(
          400,
          fmt::format("{} is no text, which is all that models here read", part.NameOf("type")),
          part.NameOf("type"), "unsupported_content");
    }
    if (i > 0) text += '\n';
    text += part.RequiredString(refusal ? "refusal" : "text");
  }
  return text;
}

void ParseResponseFormat(const Fields& body, OutputFormat& format) {
  const auto field = body.Object("response_format");
  if (!field) return;
  OutputFormat parsed = ParseFormat(*field);
  if (parsed.kind == OutputFormat::Kind::kText) return;
  if (format.kind != OutputFormat::Kind::kText) {
    throw RequestError(400, fmt::format("response_format and {} are both given", format.param),
                       body.NameOf("response_format"), "invalid_value");
  }
  format = std::move(parsed);
}

ChatRequest ParseChat(const Json& body_json) {
  const Fields body(body_json);
  ChatRequest request;
  request.model = body.String("model").value_or("");
  const Json* messages = body.List("messages", kMostMessages);
  if (messages == nullptr || messages->empty()) {
    throw RequestError(400, "messages is empty or missing, expected a list of messages", "messages",
                       "missing_required_parameter");
  }
  request.messages.reserve(messages->size());
  for (size_t i = 0; i < messages->size(); ++i) {
    request.messages.push_back(ParseMessage(Fields((*messages)[i], body.NameOf("messages", i))));
  }
  request.tools = ParseTools(body);
  request.tool_choice = ParseToolChoice(body, request.tools);
  request.parallel_calls = body.Bool("parallel_tool_calls", true);
  request.thinking = ParseThinking(body);
  GenerationFields& generation = request.generation;
  generation = ParseGeneration(body);
  ParseResponseFormat(body, generation.format);
  generation.choices = static_cast<size_t>(body.Integer("n", 1, kMostChoices).value_or(1));
  generation.logprobs = body.Bool("logprobs", false);
  const auto top = body.Integer("top_logprobs", 0, kMostTopLogprobs);
  if (top && *top > 0 && !generation.logprobs) {
    throw RequestError(400, "top_logprobs is given, but logprobs is not true", "top_logprobs",
                       "invalid_value");
  }
  generation.top_logprobs = static_cast<size_t>(top.value_or(0));
  RefuseOtherMedia(body);
  body.String("prompt_cache_key");
  request.stream = body.Bool("stream", false);
  if (const auto options = body.Object("stream_options")) {
    request.stream_usage = options->Bool("include_usage", false);
  }
  return request;
}

}  // namespace linnet
