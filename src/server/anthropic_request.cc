#include "server/anthropic_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMostTurns = 65536, kMostBlocks = 4096, kMostOffered = 512;
constexpr int64_t kMostBudget = int64_t{1} << 30;

// What a client did with tools of Anthropic's servers, which nothing here can have called.
bool IsOfHostedTool(const std::string& type) {
  return type == "server_tool_use" || type == "mcp_tool_use" || type == "tool_reference" ||
         (type != "tool_result" && type.ends_with("_tool_result"));
}

[[noreturn]] void RefuseBlock(const Fields& block) {
  throw RequestError(
      400, fmt::format("{} is no text, which is all that models here read", block.NameOf("type")),
      block.NameOf("type"), "unsupported_content");
}

void AddLine(std::string& text, std::string_view more) {
  if (!text.empty()) text += '\n';
  text += more;
}

// The text of a string or of a list of blocks without calls and results.
std::string TextOfBlocks(const Json& content, const std::string& where);

// `source` is a text, or blocks of text.
std::string DocumentText(const Fields& block) {
  const auto source = block.Object("source");
  if (!source) block.RequiredString("source");
  const std::string type = source->RequiredString("type");
  std::string text = block.String("title").value_or("");
  if (type == "text") {
    AddLine(text, source->RequiredString("data"));
  } else if (type == "content" && source->Has("content")) {
    AddLine(text, TextOfBlocks(*source->Find("content"), source->NameOf("content")));
  } else {
    RefuseBlock(block);
  }
  return text;
}

std::string FoundText(const Fields& block) {
  std::string text = block.String("title").value_or("");
  if (const Json* content = block.Find("content")) {
    AddLine(text, TextOfBlocks(*content, block.NameOf("content")));
  }
  return text;
}

// The text of a block that is text in any form. False if it is of a hosted tool.
bool AddBlock(const Fields& block, const std::string& type, std::string& text) {
  if (type == "text") {
    AddLine(text, block.RequiredString("text"));
  } else if (type == "document") {
    AddLine(text, DocumentText(block));
  } else if (type == "search_result") {
    AddLine(text, FoundText(block));
  } else if (!IsOfHostedTool(type)) {
    RefuseBlock(block);
  } else {
    return false;
  }
  return true;
}

void CheckBlocks(const Json& content, const std::string& where) {
  if (content.is_array() && content.size() <= kMostBlocks) return;
  throw RequestError(400,
                     fmt::format("{} is of type {}, expected a string or a list of at most {} "
                                 "blocks",
                                 where, content.type_name(), kMostBlocks),
                     where, "invalid_type");
}

std::string TextOfBlocks(const Json& content, const std::string& where) {
  if (content.is_string()) return content.get<std::string>();
  CheckBlocks(content, where);
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const Fields block(content[i], fmt::format("{}[{}]", where, i));
    AddBlock(block, block.RequiredString("type"), text);
  }
  return text;
}

std::string ParseSystem(const Json& content, const std::string& where) {
  if (content.is_string())
    return std::string(WithoutHeaderLines(content.get_ref<const std::string&>()));
  CheckBlocks(content, where);
  std::string system;
  for (size_t i = 0; i < content.size(); ++i) {
    const Fields block(content[i], fmt::format("{}[{}]", where, i));
    std::string text;
    AddBlock(block, block.RequiredString("type"), text);
    const std::string_view kept = WithoutHeaderLines(text);
    if (!kept.empty()) AddLine(system, kept);
  }
  return system;
}

std::string ResultText(const Fields& block) {
  std::string text;
  if (const Json* content = block.Find("content")) {
    text = TextOfBlocks(*content, block.NameOf("content"));
  }
  // A model should not take silence for success.
  if (block.Bool("is_error", false) && text.empty()) text = "error";
  return text;
}

// The user's blocks in their order: what tools returned are messages of their own.
void AddUserTurn(const Json& content, const std::string& where,
                 std::vector<ChatMessage>& messages) {
  if (content.is_string()) {
    messages.push_back({.role = ChatRole::kUser, .text = content.get<std::string>()});
    return;
  }
  CheckBlocks(content, where);
  const size_t before = messages.size();
  bool open = false;  // the last message takes more text
  for (size_t i = 0; i < content.size(); ++i) {
    const Fields block(content[i], fmt::format("{}[{}]", where, i));
    const std::string type = block.RequiredString("type");
    if (type == "tool_result") {
      messages.push_back({.role = ChatRole::kTool,
                          .text = ResultText(block),
                          .call_id = block.RequiredString("tool_use_id")});
      open = false;
      continue;
    }
    std::string text;
    if (!AddBlock(block, type, text)) continue;
    if (!open) messages.push_back({.role = ChatRole::kUser});
    std::string& whole = messages.back().text;
    whole = open ? whole + '\n' + text : std::move(text);
    open = true;
  }
  if (messages.size() == before) messages.push_back({.role = ChatRole::kUser});
}

ChatMessage ParseAssistantTurn(const Json& content, const std::string& where) {
  ChatMessage message{.role = ChatRole::kAssistant};
  if (content.is_string()) {
    message.text = content.get<std::string>();
    return message;
  }
  CheckBlocks(content, where);
  for (size_t i = 0; i < content.size(); ++i) {
    const Fields block(content[i], fmt::format("{}[{}]", where, i));
    const std::string type = block.RequiredString("type");
    if (type == "thinking") {
      AddLine(message.thoughts, block.RequiredString("thinking"));
    } else if (type == "tool_use") {
      const auto input = block.Object("input");
      message.calls.push_back({.id = block.RequiredString("id"),
                               .name = block.RequiredString("name"),
                               .arguments = input ? Dump(input->json()) : "{}"});
    } else if (type != "redacted_thinking") {
      AddBlock(block, type, message.text);
    }
  }
  return message;
}

void AddTurn(const Fields& turn, std::vector<ChatMessage>& messages) {
  turn.RequiredString("role");
  const std::string role = *turn.Word("role", {"user", "assistant", "system"});
  const Json* content = turn.Find("content");
  if (content == nullptr) turn.RequiredString("content");
  const std::string where = turn.NameOf("content");
  if (role == "user") {
    AddUserTurn(*content, where, messages);
  } else if (role == "assistant") {
    messages.push_back(ParseAssistantTurn(*content, where));
  } else {
    messages.push_back({.role = ChatRole::kSystem, .text = ParseSystem(*content, where)});
  }
}

std::vector<ChatTool> ParseOffered(const Fields& body) {
  std::vector<ChatTool> tools;
  const Json* list = body.List("tools", kMostOffered);
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const Fields tool((*list)[i], body.NameOf("tools", i));
    // Tools that Anthropic knows have dated types and no schema.
    if (tool.String("type").value_or("custom") != "custom") continue;
    AddTool(tools, tool, "input_schema");
  }
  return tools;
}

void ParseChoice(const Fields& body, ChatRequest& chat) {
  const auto choice = body.Object("tool_choice");
  if (!choice) return;
  choice->RequiredString("type");
  const std::string type = *choice->Word("type", {"auto", "any", "tool", "none"});
  chat.parallel_calls = !choice->Bool("disable_parallel_tool_use", false);
  chat.tool_choice =
      type == "tool" ? NamedTool(choice->RequiredString("name"), chat.tools, choice->NameOf("name"))
                     : WordChoice(type, chat.tools, choice->NameOf("type"));
}

void ParseThoughts(const Fields& body, AnthropicRequest& request) {
  const auto output = body.Object("output_config");
  const Thinking effort = output ? ParseEffort(*output, "effort") : Thinking::kDefault;
  request.chat.thinking = Thinking::kOff;
  const auto thinking = body.Object("thinking");
  if (!thinking) return;
  thinking->RequiredString("type");
  const auto type = thinking->Word("type", {"enabled", "disabled", "adaptive", "between_tools"});
  thinking->Integer("budget_tokens", 0, kMostBudget);
  request.hides_thoughts = thinking->String("display") == "omitted";
  if (type != "disabled") {
    request.chat.thinking = effort == Thinking::kDefault ? Thinking::kOn : effort;
  }
}

// `output_config.format`, and the field of the beta that came before it.
void ParseOutput(const Fields& body, OutputFormat& format) {
  const auto take = [&](const Fields& holder, const char* name) {
    const auto field = holder.Object(name);
    if (!field) return;
    OutputFormat parsed = ParseFormat(*field);
    if (parsed.kind == OutputFormat::Kind::kText) return;
    if (format.kind != OutputFormat::Kind::kText) {
      throw RequestError(400,
                         fmt::format("{} and {} are both given", holder.NameOf(name), format.param),
                         holder.NameOf(name), "invalid_value");
    }
    format = std::move(parsed);
  };
  take(body, "output_format");
  if (const auto output = body.Object("output_config")) take(*output, "format");
}

}  // namespace

std::string_view WithoutHeaderLines(std::string_view system) {
  constexpr std::string_view kStart = "x-anthropic-";
  while (system.starts_with(kStart)) {
    const std::string_view line = system.substr(0, system.find('\n'));
    const std::string_view name = line.substr(0, line.find(':'));
    const bool is_header =
        name.size() < line.size() && std::all_of(name.begin(), name.end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        });
    if (!is_header) break;
    system.remove_prefix(std::min(line.size() + 1, system.size()));
    while (system.starts_with('\n')) system.remove_prefix(1);
  }
  return system;
}

AnthropicRequest ParseAnthropic(const Json& body_json) {
  const Fields body(body_json);
  AnthropicRequest request;
  ChatRequest& chat = request.chat;
  chat.model = body.String("model").value_or("");
  const Json* turns = body.List("messages", kMostTurns);
  if (turns == nullptr || turns->empty()) {
    throw RequestError(400, "messages is empty or missing, expected a list of messages", "messages",
                       "missing_required_parameter");
  }
  if (const Json* content = body.Find("system")) {
    std::string system = ParseSystem(*content, body.NameOf("system"));
    if (!system.empty()) {
      chat.messages.push_back({.role = ChatRole::kSystem, .text = std::move(system)});
    }
  }
  for (size_t i = 0; i < turns->size(); ++i) {
    AddTurn(Fields((*turns)[i], body.NameOf("messages", i)), chat.messages);
  }
  chat.tools = ParseOffered(body);
  ParseChoice(body, chat);
  ParseThoughts(body, request);
  chat.generation = ParseGeneration(body);
  std::vector<std::string> stops = ParseStops(body, "stop_sequences");
  if (!stops.empty()) chat.generation.stops = std::move(stops);
  ParseOutput(body, chat.generation.format);
  chat.stream = body.Bool("stream", false);
  return request;
}

}  // namespace linnet
