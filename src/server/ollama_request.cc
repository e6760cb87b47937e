#include "server/ollama_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "server/ollama_template.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMostSaid = 65536;
constexpr int64_t kMostPredicted = int64_t{1} << 30, kMostTold = 20;

void RefuseImages(const Fields& holder) {
  const Json* images = holder.Find("images");
  if (images == nullptr || (images->is_array() && images->empty())) return;
  throw RequestError(
      400, fmt::format("{} are given, but models here read only text", holder.NameOf("images")),
      holder.NameOf("images"), "unsupported_content");
}

OutputFormat ParseFormatField(const Fields& body) {
  const Json* format = body.Find("format");
  OutputFormat parsed;
  parsed.param = "format";
  if (format == nullptr || *format == "") return parsed;
  if (*format == "json") {
    parsed.kind = OutputFormat::Kind::kJson;
  } else if (format->is_object()) {
    parsed.kind = OutputFormat::Kind::kJsonSchema;
    parsed.text = Dump(*format);
  } else {
    throw RequestError(400, "format is neither \"json\" nor a JSON schema", "format",
                       "invalid_value");
  }
  return parsed;
}

GenerationFields ParseOptions(const Fields& body) {
  GenerationFields fields;
  if (const auto options = body.Object("options")) {
    fields = ParseGeneration(*options);
    // -1 and -2: without a limit, 0: the default.
    const auto most = options->Integer("num_predict", -2, kMostPredicted);
    if (most && *most > 0) fields.max_tokens = static_cast<size_t>(*most);
  }
  const OutputFormat format = ParseFormatField(body);
  if (format.kind != OutputFormat::Kind::kText) fields.format = format;
  fields.logprobs = body.Bool("logprobs", false);
  const auto top = body.Integer("top_logprobs", 0, kMostTold).value_or(0);
  fields.top_logprobs = fields.logprobs ? static_cast<size_t>(top) : 0;
  return fields;
}

Thinking ParseThink(const Fields& body) {
  const Json* think = body.Find("think");
  if (think == nullptr) return Thinking::kDefault;
  if (think->is_boolean()) return think->get<bool>() ? Thinking::kOn : Thinking::kOff;
  return ParseEffort(body, "think");
}

// What both have in common.
OllamaRequest ParseCommon(const Fields& body) {
  OllamaRequest request;
  request.model = body.String("model").value_or("");
  CheckKeepAlive(body);
  ChatRequest& chat = request.chat;
  chat.model = request.model;
  chat.thinking = ParseThink(body);
  chat.generation = ParseOptions(body);
  chat.stream = body.Bool("stream", true);
  request.thoughts = chat.thinking != Thinking::kDefault && chat.thinking != Thinking::kOff;
  return request;
}

std::vector<int32_t> ParseContext(const Fields& body) {
  std::vector<int32_t> ids;
  const Json* list = body.List("context", std::numeric_limits<size_t>::max());
  if (list == nullptr) return ids;
  ids.reserve(list->size());
  for (const Json& id : *list) {
    const int64_t number = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (number < 0 || number > std::numeric_limits<int32_t>::max()) {
      throw RequestError(400, "context is no list of token ids of an earlier answer", "context",
                         "invalid_value");
    }
    ids.push_back(static_cast<int32_t>(number));
  }
  return ids;
}

}  // namespace

void CheckKeepAlive(const Fields& body) {
  const Json* time = body.Find("keep_alive");
  if (time == nullptr || time->is_string() || time->is_number()) return;
  throw RequestError(400, "keep_alive is neither a number of seconds nor a duration as \"5m\"",
                     "keep_alive", "invalid_type");
}

OllamaRequest ParseOllamaChat(const Json& body_json) {
  const Fields body(body_json);
  OllamaRequest request = ParseCommon(body);
  ChatRequest& chat = request.chat;
  const Json* messages = body.List("messages", kMostSaid);
  if (messages == nullptr || messages->empty()) {
    request.only_loads = true;
    return request;
  }
  chat.messages.reserve(messages->size());
  for (size_t i = 0; i < messages->size(); ++i) {
    const Fields message((*messages)[i], body.NameOf("messages", i));
    RefuseImages(message);
    ChatMessage parsed = ParseMessage(message);
    if (parsed.role == ChatRole::kAssistant) {
      parsed.thoughts = message.String("thinking").value_or(parsed.thoughts);
    }
    if (const auto name = message.String("tool_name")) parsed.name = *name;
    chat.messages.push_back(std::move(parsed));
  }
  chat.tools = ParseTools(body);
  chat.tool_choice = ParseToolChoice(body, chat.tools);  // not of Ollama
  return request;
}

OllamaRequest ParseOllamaGenerate(const Json& body_json) {
  const Fields body(body_json);
  OllamaRequest request = ParseCommon(body);
  RefuseImages(body);
  const std::string prompt = body.String("prompt").value_or("");
  const std::string system = body.String("system").value_or("");
  const std::string text = body.String("template").value_or("");
  const std::string suffix = body.String("suffix").value_or("");
  request.raw = body.Bool("raw", false);
  request.chat.before = ParseContext(body);
  if (prompt.empty() && suffix.empty()) {
    request.only_loads = true;
    return request;
  }
  if (request.raw && !(system.empty() && text.empty() && request.chat.before.empty())) {
    throw RequestError(400, "raw is true, but system, template or context is given", "raw",
                       "invalid_value");
  }
  if (!request.raw && text.empty() && suffix.empty()) {
    if (!system.empty()) {
      request.chat.messages.push_back({.role = ChatRole::kSystem, .text = system});
    }
    request.chat.messages.push_back({.role = ChatRole::kUser, .text = prompt});
    return request;
  }
  CompletionRequest& as_text = request.text.emplace();
  as_text.generation = request.chat.generation;
  std::string shown = prompt;
  if (!text.empty()) {
    shown = ExpandTemplate(text, {.system = system, .prompt = prompt, .suffix = suffix});
  } else if (!suffix.empty()) {
    as_text.suffix = suffix;
  }
  as_text.prompts.push_back({.text = std::move(shown)});
  return request;
}

void CheckAbilities(const OllamaRequest& request, const ServedModel& served) {
  const auto refuse = [&](const char* what, const char* field) {
    throw RequestError(400, fmt::format("\"{}\" does not support {}", served.name, what), field,
                       "unsupported_parameter");
  };
  if (request.thoughts && !served.chat_template->thinks()) refuse("thinking", "think");
  if (!request.chat.tools.empty() && !served.chat_template->has_tools()) refuse("tools", "tools");
  const auto& ids = request.chat.before;
  const auto last = std::max_element(ids.begin(), ids.end());
  if (last != ids.end() && static_cast<size_t>(*last) >= served.vocab) {
    throw RequestError(400,
                       fmt::format("context has id {}, which is outside the vocabulary, 0 to {}",
                                   *last, served.vocab - 1),
                       "context", "invalid_value");
  }
}

}  // namespace linnet
