#include "server/response_items.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "server/chat_request.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMaxItems = 65536;
constexpr size_t kIdBytes = 24;
constexpr size_t kMaxIdLength = 256;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string_view DigitsOf(std::string_view response) {
  const size_t end = response.find('_');
  return end == std::string_view::npos ? response : response.substr(end + 1);
}

// The results of tools that OpenAI hosts and of shells, which nothing here can have called.
bool IsOfForeignTool(const std::string& type) {
  return type.ends_with("_call") || type.ends_with("_call_output") || type.starts_with("mcp_") ||
         type.starts_with("tool_search") || type.starts_with("compaction") ||
         type.starts_with("program") || type == "additional_tools" ||
         type == "configuration_update";
}

// Parts of a message, all of one type.
Json PartsOf(const Fields& item, const char* type) {
  const Json* content = item.Find("content");
  if (content == nullptr) item.RequiredString("content");
  const auto part = [type](const std::string& text) {
    Json parsed = {{"type", type}, {"text", text}};
    if (std::string_view(type) == "output_text") parsed["annotations"] = Json::array();
    return parsed;
  };
  Json parts = Json::array();
  if (!content->is_array()) {
    parts.push_back(part(ParseContent(*content, item.NameOf("content"))));
    return parts;
  }
  for (size_t i = 0; i < content->size(); ++i) {
    // One by one, so that an error names the part.
    ParseContent(Json::array({(*content)[i]}), item.NameOf("content"));
  }
  for (const Json& entry : *content) {
    parts.push_back(part(ParseContent(Json::array({entry}), item.NameOf("content"))));
  }
  return parts;
}

Json ParseMessageItem(const Fields& item) {
  item.RequiredString("role");
  const std::string role = *item.Word("role", {"user", "assistant", "system", "developer"});
  return {{"type", "message"},
          {"role", role},
          {"status", "completed"},
          {"content", PartsOf(item, role == "assistant" ? "output_text" : "input_text")}};
}

// Some clients send the arguments as an object.
std::string ArgumentsOf(const Fields& item) {
  const Json* arguments = item.Find("arguments");
  return arguments != nullptr && arguments->is_object() ? Dump(*arguments)
                                                        : item.RequiredString("arguments");
}

Json ParseOutputItem(const Fields& item) {
  const Json* output = item.Find("output");
  if (output == nullptr) item.RequiredString("output");
  // A tool may return any JSON; parts of text are joined.
  std::string text;
  const bool parts = output->is_array() && std::all_of(output->begin(), output->end(), [](auto& p) {
                       return p.is_object() && p.contains("type");
                     });
  if (output->is_string() || parts) {
    text = ParseContent(*output, item.NameOf("output"));
  } else {
    text = Dump(*output);
  }
  return {{"type", "function_call_output"},
          {"call_id", item.String("call_id").value_or("")},
          {"output", text},
          {"status", "completed"}};
}

Json ParseReasoningItem(const Fields& item) {
  Json content = Json::array(), summary = Json::array();
  const auto read = [&](const char* field, const char* type, Json& texts) {
    const Json* list = item.List(field, kMaxItems);
    if (list == nullptr) return;
    for (size_t i = 0; i < list->size(); ++i) {
      const Fields part((*list)[i], item.NameOf(field, i));
      texts.push_back({{"type", type}, {"text", part.RequiredString("text")}});
    }
  };
  read("content", "reasoning_text", content);
  read("summary", "summary_text", summary);
  return {{"type", "reasoning"}, {"summary", summary}, {"content", content}};
}

// Nothing if the item is of a tool that does not exist here.
std::optional<Json> ParseItem(const Fields& item) {
  const std::string type = item.String("type").value_or(item.Has("role") ? "message"
                                                        : item.Has("id") ? "item_reference"
                                                                         : "message");
  if (type == "message") return ParseMessageItem(item);
  if (type == "function_call") {
    return Json{{"type", type},
                {"call_id", item.RequiredString("call_id")},
                {"name", item.RequiredString("name")},
                {"arguments", ArgumentsOf(item)},
                {"status", "completed"}};
  }
  if (type == "function_call_output") return ParseOutputItem(item);
  if (type == "reasoning") return ParseReasoningItem(item);
  if (type == "item_reference") return Json{{"type", type}, {"id", item.RequiredString("id")}};
  if (IsOfForeignTool(type)) return std::nullopt;
  throw RequestError(400,
                     fmt::format("{} is '{}', expected message, function_call, "
                                 "function_call_output, reasoning or item_reference",
                                 item.NameOf("type"), type),
                     item.NameOf("type"), "invalid_value");
}

const char* PrefixOf(const Json& item) {
  const std::string& type = item.at("type").get_ref<const std::string&>();
  if (type == "function_call") return "fc";
  if (type == "function_call_output") return "fco";
  return type == "reasoning" ? "rs" : "msg";
}

std::string TextOf(const Json& parts) {
  std::string text;
  for (const Json& part : parts) {
    if (!text.empty()) text += '\n';
    text += part.value("text", "");
  }
  return text;
}

}  // namespace

std::string NewResponseId() {
  std::array<unsigned char, kIdBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw std::runtime_error("the system has no random numbers");
  }
  std::string id = "resp_";
  for (const unsigned char byte : bytes) id += fmt::format("{:02x}", byte);
  return id;
}

std::string ItemId(std::string_view prefix, std::string_view response, bool output, size_t index) {
  return fmt::format("{}_{}{}{:06x}", prefix, DigitsOf(response), output ? "0" : "1", index);
}

std::string ResponseOfItem(std::string_view item) {
  const std::string_view digits = DigitsOf(item);
  constexpr size_t kPlace = 7;
  if (digits.size() != 2 * kIdBytes + kPlace || !IsHex(digits)) return "";
  return "resp_" + std::string(digits.substr(0, 2 * kIdBytes));
}

Json ParseItems(const Json* input, const std::string& response) {
  Json items = Json::array();
  if (input == nullptr) return items;
  const auto add = [&](Json item, std::string id) {
    if (id.empty() || id.size() > kMaxIdLength) {
      id = ItemId(PrefixOf(item), response, false, items.size());
    }
    item["id"] = std::move(id);
    items.push_back(std::move(item));
  };
  if (input->is_string()) {
    const Json content = Json::array({{{"type", "input_text"}, {"text", *input}}});
    add({{"type", "message"}, {"role", "user"}, {"status", "completed"}, {"content", content}}, "");
    return items;
  }
  if (!input->is_array() || input->size() > kMaxItems) {
    throw RequestError(400,
                       fmt::format("input is of type {}, expected a text or a list of at most {} "
                                   "items",
                                   input->type_name(), kMaxItems),
                       "input", "invalid_type");
  }
  for (size_t i = 0; i < input->size(); ++i) {
    const Fields fields((*input)[i], fmt::format("input[{}]", i));
    auto item = ParseItem(fields);
    if (item) add(std::move(*item), fields.String("id").value_or(""));
  }
  return items;
}

void ResolveItems(Json& items, std::span<const Json> known,
                  const std::function<Json(const std::string& id)>& find) {
  std::set<std::string> seen;
  for (const Json& item : known) seen.insert(item.value("id", ""));
  Json resolved = Json::array();
  for (Json& item : items) {
    if (item.at("type") != "item_reference") {
      resolved.push_back(std::move(item));
      continue;
    }
    const std::string id = item.at("id");
    if (seen.contains(id)) continue;
    Json found = find(id);
    if (!found.is_object()) {
      throw RequestError(404, fmt::format("no item '{}' is stored", id), "input", "item_not_found");
    }
    resolved.push_back(std::move(found));
  }
  items = std::move(resolved);
}

std::vector<ChatMessage> MessagesOf(std::span<const Json> items) {
  std::vector<ChatMessage> messages;
  messages.reserve(items.size());
  bool open = false;  // the last message is the assistant's, and its next item belongs to it
  const auto assistant = [&]() -> ChatMessage& {
    if (!open) messages.push_back({.role = ChatRole::kAssistant});
    open = true;
    return messages.back();
  };
  for (const Json& item : items) {
    const std::string type = item.value("type", "");
    if (type == "reasoning") {
      if (open && !(messages.back().text.empty() && messages.back().calls.empty())) open = false;
      ChatMessage& message = assistant();
      const Json& content = item.value("content", Json::array());
      message.thoughts += TextOf(content.empty() ? item.value("summary", Json::array()) : content);
    } else if (type == "function_call") {
      assistant().calls.push_back({.id = item.value("call_id", ""),
                                   .name = item.value("name", ""),
                                   .arguments = item.value("arguments", "")});
    } else if (type == "function_call_output") {
      open = false;
      messages.push_back({.role = ChatRole::kTool,
                          .text = item.value("output", ""),
                          .call_id = item.value("call_id", "")});
    } else if (type == "message") {
      const std::string role = item.value("role", "");
      const std::string text = TextOf(item.value("content", Json::array()));
      if (role == "assistant") {
        if (open && !messages.back().calls.empty()) open = false;
        ChatMessage& message = assistant();
        if (!message.text.empty()) message.text += '\n';
        message.text += text;
      } else {
        open = false;
        messages.push_back(
            {.role = role == "user" ? ChatRole::kUser : ChatRole::kSystem, .text = text});
      }
    }
  }
  return messages;
}

}  // namespace linnet
