#include "server/response_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "server/openai_errors.h"
#include "server/response_items.h"

namespace linnet {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 30;
constexpr size_t kMaxNameLength = 256;

size_t CharactersOf(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// A pair of field and message for what cannot be answered as asked.
[[noreturn]] void RefuseField(const std::string& field, const std::string& why) {
  throw RequestError(400, fmt::format("{} {}", field, why), field, "unsupported_value");
}

Json MetadataOf(const Fields& body) {
  const auto metadata = body.Object("metadata");
  if (!metadata) return Json::object();
  constexpr size_t kPairs = 16, kKey = 64, kValue = 512;
  for (const auto& [key, value] : metadata->json().items()) {
    if (!value.is_string() || CharactersOf(key) > kKey ||
        CharactersOf(value.get_ref<const std::string&>()) > kValue) {
      throw RequestError(400,
                         fmt::format("metadata has an entry that is not allowed, expected texts of "
                                     "at most {} characters with names of at most {}",
                                     kValue, kKey),
                         "metadata", "invalid_value");
    }
  }
  if (metadata->json().size() > kPairs) {
    throw RequestError(400,
                       fmt::format("metadata has {} entries, expected at most {}",
                                   metadata->json().size(), kPairs),
                       "metadata", "invalid_value");
  }
  return metadata->json();
}

std::string ConversationOf(const Fields& body) {
  const Json* conversation = body.Find("conversation");
  if (conversation == nullptr) return "";
  const bool is_object = conversation->is_object();
  const std::string id = is_object ? Fields(*conversation, "conversation").RequiredString("id")
                                   : body.RequiredString("conversation");
  if (id.empty() || CharactersOf(id) > kMaxNameLength) {
    throw RequestError(
        400, fmt::format("conversation is empty or longer than {} characters", kMaxNameLength),
        "conversation", "invalid_value");
  }
  return id;
}

Json ToolsAsSent(const std::vector<ChatTool>& tools) {
  Json list = Json::array();
  for (const ChatTool& tool : tools) {
    const Json parameters = tool.parameters.empty() ? Json() : Json::parse(tool.parameters);
    list.push_back({{"type", "function"},
                    {"name", tool.name},
                    {"description", tool.description},
                    {"parameters", parameters},
                    {"strict", tool.strict}});
  }
  return list;
}

Json ChoiceAsSent(const ToolChoice& choice) {
  switch (choice.kind) {
    case ToolChoice::Kind::kNone:
      return "none";
    case ToolChoice::Kind::kAuto:
      return "auto";
    case ToolChoice::Kind::kRequired:
      return "required";
    case ToolChoice::Kind::kNamed:
      return {{"type", "function"}, {"name", choice.name}};
  }
  return "auto";
}

// `text`: the format and verbosity. Returns what the response repeats.
Json ReadText(const Fields& body, GenerationFields& generation) {
  Json echo = {{"format", {{"type", "text"}}}};
  const auto text = body.Object("text");
  if (!text) return echo;
  if (const auto format = text->Object("format")) {
    OutputFormat parsed = ParseFormat(*format);
    if (parsed.kind != OutputFormat::Kind::kText) {
      if (generation.format.kind != OutputFormat::Kind::kText) {
        RefuseField("text.format", fmt::format("and {} are both given", generation.format.param));
      }
      parsed.param = "text.format";
      generation.format = std::move(parsed);
    }
    echo["format"] = format->json();
  }
  if (const auto verbosity = text->Word("verbosity", {"low", "medium", "high"})) {
    echo["verbosity"] = *verbosity;
  }
  return echo;
}

Json ReadReasoning(const Fields& body, ChatRequest& chat) {
  Json echo = {{"effort", nullptr}, {"summary", nullptr}};
  const auto reasoning = body.Object("reasoning");
  if (!reasoning) return echo;
  chat.thinking = ParseEffort(*reasoning, "effort");
  if (const auto effort = reasoning->String("effort")) echo["effort"] = *effort;
  reasoning->Word("summary", {"auto", "concise", "detailed"});  // there are none, only thoughts
  return echo;
}

void ReadLogprobs(const Fields& body, GenerationFields& generation) {
  for (const std::string& part : body.Strings("include", 64)) {
    if (part == "message.output_text.logprobs") generation.logprobs = true;
  }
  generation.top_logprobs = static_cast<size_t>(body.Integer("top_logprobs", 0, 20).value_or(0));
  if (generation.top_logprobs > 0) generation.logprobs = true;
}

// The field as it was sent, or null.
template <class Value>
Json OrNull(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

}  // namespace

ResponseRequest ParseResponse(const Json& json) {
  const Fields body(json);
  ResponseRequest request;
  request.id = NewResponseId();
  ChatRequest& chat = request.chat;
  chat.model = body.String("model").value_or("");
  chat.generation = ParseGeneration(body);
  if (const auto most = body.Integer("max_output_tokens", 1, kMaxTokens)) {
    chat.generation.max_tokens = static_cast<size_t>(*most);
  }
  ReadLogprobs(body, chat.generation);
  chat.tools = ParseTools(body);
  chat.tool_choice = ParseToolChoice(body, chat.tools);
  chat.parallel_calls = body.Bool("parallel_tool_calls", true);
  chat.stream = body.Bool("stream", false);
  if (const auto options = body.Object("stream_options")) options->Bool("include_obfuscation");

  request.instructions = body.String("instructions").value_or("");
  request.previous = body.String("previous_response_id").value_or("");
  request.conversation = ConversationOf(body);
  if (!request.previous.empty() && !request.conversation.empty()) {
    RefuseField("previous_response_id", "and conversation are both given, expected one of them");
  }
  request.store = body.Bool("store", true);
  request.background = body.Bool("background", false);
  if (request.background && !request.store) {
    RefuseField("background", "is true, but store is false: nobody could get the response");
  }
  if (body.Object("prompt")) {
    RefuseField("prompt", "names a template, which are not stored here; send input instead");
  }
  request.items = ParseItems(body.Find("input"), request.id);

  Json& echo = request.echo;
  echo = {{"background", request.background},
          {"instructions", OrNull(body.String("instructions"))},
          {"max_output_tokens", OrNull(chat.generation.max_tokens)},
          {"max_tool_calls", OrNull(body.Integer("max_tool_calls", 1, kMaxTokens))},
          {"metadata", MetadataOf(body)},
          {"parallel_tool_calls", chat.parallel_calls},
          {"previous_response_id", OrNull(body.String("previous_response_id"))},
          {"prompt_cache_key", OrNull(body.String("prompt_cache_key"))},
          {"reasoning", ReadReasoning(body, chat)},
          {"safety_identifier", OrNull(body.String("safety_identifier"))},
          {"service_tier", "default"},
          {"store", request.store},
          {"text", ReadText(body, chat.generation)},
          {"tool_choice", ChoiceAsSent(chat.tool_choice)},
          {"tools", ToolsAsSent(chat.tools)},
          {"top_logprobs", chat.generation.top_logprobs},
          {"truncation", body.Word("truncation", {"auto", "disabled"}).value_or("disabled")},
          {"user", OrNull(body.String("user"))}};
  if (!request.conversation.empty()) echo["conversation"] = {{"id", request.conversation}};
  return request;
}

std::vector<ChatMessage> MessagesFor(const ResponseRequest& request, std::span<const Json> before) {
  std::vector<Json> items(before.begin(), before.end());
  items.insert(items.end(), request.items.begin(), request.items.end());
  std::vector<ChatMessage> messages = MessagesOf(items);
  if (!request.instructions.empty()) {
    messages.insert(messages.begin(), {.role = ChatRole::kSystem, .text = request.instructions});
  }
  // A template needs something to answer to.
  const bool asked = std::any_of(messages.begin(), messages.end(), [](const ChatMessage& message) {
    return message.role != ChatRole::kSystem;
  });
  if (!asked) messages.push_back({.role = ChatRole::kUser});
  return messages;
}

}  // namespace linnet
