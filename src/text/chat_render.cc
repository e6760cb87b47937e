// The prompt of a conversation with messages of any roles, and the text that describes functions.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "linnet/error.h"
#include "text/chat_template.h"

namespace linnet {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string JsonText(const OrderedJson& value, int indent = -1) {
  return value.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

OrderedJson ParametersOf(const ChatTool& tool) {
  if (!tool.parameters.empty()) {
    OrderedJson parsed = OrderedJson::parse(tool.parameters, nullptr, false);
    if (parsed.is_object()) return parsed;
  }
  return {{"type", "object"}, {"properties", OrderedJson::object()}};
}

// A short name for the values that a schema allows: `string`, `"a"|"b"`, `integer[]`.
std::string TypeText(const OrderedJson& schema, int depth = 0) {
  constexpr int kDeepest = 4;
  if (!schema.is_object() || depth > kDeepest) return "any";
  if (const auto values = schema.find("enum"); values != schema.end() && values->is_array()) {
    std::string text;
    for (const auto& value : *values) text += (text.empty() ? "" : "|") + JsonText(value);
    return text;
  }
  if (const auto value = schema.find("const"); value != schema.end()) return JsonText(*value);
  const auto type = schema.find("type");
  if (type == schema.end()) return "any";
  if (type->is_array()) {
    std::string text;
    for (const auto& one : *type) {
      if (one.is_string()) text += (text.empty() ? "" : "|") + one.get<std::string>();
    }
    return text;
  }
  if (!type->is_string()) return "any";
  const auto items = schema.find("items");
  if (*type == "array" && items != schema.end()) return TypeText(*items, depth + 1) + "[]";
  return type->get<std::string>();
}

bool IsRequired(const OrderedJson& parameters, const std::string& name) {
  const auto required = parameters.find("required");
  if (required == parameters.end() || !required->is_array()) return false;
  return std::find(required->begin(), required->end(), name) != required->end();
}

// `- name(argument: type (what it is), other?: type): what it does`
std::string Signature(const ChatTool& tool) {
  const OrderedJson parameters = ParametersOf(tool);
  std::string arguments;
  const auto properties = parameters.find("properties");
  if (properties != parameters.end() && properties->is_object()) {
    for (const auto& [name, schema] : properties->items()) {
      arguments += arguments.empty() ? "" : ", ";
      arguments +=
          fmt::format("{}{}: {}", name, IsRequired(parameters, name) ? "" : "?", TypeText(schema));
      const auto what = schema.is_object() ? schema.find("description") : schema.end();
      if (schema.is_object() && what != schema.end() && what->is_string()) {
        arguments += fmt::format(" ({})", what->get<std::string>());
      }
    }
  }
  return fmt::format("- {}({}){}{}", tool.name, arguments, tool.description.empty() ? "" : ": ",
                     tool.description);
}

std::string Heading(const ChatTool& tool) {
  return fmt::format("### `{}`\n**Description:** {}\n**Parameters:**\n```json\n{}\n```", tool.name,
                     tool.description, JsonText(ParametersOf(tool), 2));
}

OrderedJson SchemaOf(const ChatTool& tool) {
  return {
      {"name", tool.name}, {"description", tool.description}, {"arguments", ParametersOf(tool)}};
}

OrderedJson CallJson(const ChatCall& call) {
  OrderedJson arguments = OrderedJson::parse(call.arguments, nullptr, false);
  if (arguments.is_discarded()) arguments = call.arguments;  // what a client made up
  return {{"name", call.name}, {"arguments", arguments}};
}

constexpr const char* kFence = "```json\n";

}  // namespace

std::string ChatTemplate::ToolText(std::span<const ChatTool> tools) const {
  if (tools.empty()) return "";
  std::string list;
  switch (form_.tools) {
    case ToolForm::kNone:
      throw Error(ErrorKind::kBadInput,
                  fmt::format("the chat template {} cannot call functions; use world, g1 or "
                              "g1-headings",
                              form_.name));
    case ToolForm::kSignatures:
      for (const ChatTool& tool : tools) {
        list += (list.empty() ? "" : "\n") + CleanTurn(Signature(tool));
      }
      break;
    case ToolForm::kSchemas: {
      OrderedJson all = OrderedJson::array();
      for (const ChatTool& tool : tools) all.push_back(SchemaOf(tool));
      list = JsonText(all);
      break;
    }
    case ToolForm::kHeadings:
      for (const ChatTool& tool : tools) list += (list.empty() ? "" : "\n\n") + Heading(tool);
      break;
  }
  return form_.tools_start + list + form_.tools_end;
}

std::string ChatTemplate::ReplyText(const ChatMessage& message) const {
  std::string text = DropThoughts(message.text);
  if (message.calls.empty()) return text;
  OrderedJson calls = OrderedJson::array();
  for (const ChatCall& call : message.calls) calls.push_back(CallJson(call));
  if (!text.empty()) text += '\n';
  return text + form_.call_mark + kFence + JsonText(calls.size() == 1 ? calls[0] : calls) + "\n```";
}

std::string ChatTemplate::PastReply(const ChatMessage& reply) const {
  const std::string text = ReplyText(reply);
  return form_.reply_head + (text.empty() ? "" : form_.reply_space) + text + form_.reply_end;
}

ChatPrompt ChatTemplate::RenderPast(std::span<const ChatMessage> messages,
                                    std::span<const ChatTool> tools,
                                    const PromptOptions& options) const {
  ChatPrompt prompt;
  std::string& text = prompt.text;
  std::string system;
  size_t at = 0;
  for (; at < messages.size() && messages[at].role == ChatRole::kSystem; ++at) {
    system += (system.empty() ? "" : "\n") + messages[at].text;
  }
  system = Clean(system);
  const std::string functions = ToolText(tools);
  if (!functions.empty()) {
    if (system.empty()) system = form_.default_system;
    text =
        form_.system_start + system + (system.empty() ? "" : "\n") + functions + form_.system_end;
  } else {
    text = Opening(system);
  }
  if (!text.empty()) prompt.ends.push_back(text.size());
  for (; at < messages.size(); ++at) {
    const ChatMessage& message = messages[at];
    switch (message.role) {
      case ChatRole::kSystem:
        text += form_.system_start + Clean(message.text) + form_.system_end;
        break;
      case ChatRole::kUser:
        text += UserTurn(message.text, at + 1 == messages.size() ? options.think : Think::kNone);
        break;
      case ChatRole::kAssistant:
        text += PastReply(message);
        break;
      case ChatRole::kTool:
        // A template without functions still shows what they returned.
        if (form_.tool_start.empty()) {
          text += UserTurn(message.text, Think::kNone);
        } else {
          text += form_.tool_start + Clean(message.text) + form_.tool_end;
        }
        break;
    }
    prompt.ends.push_back(text.size());
  }
  return prompt;
}

ChatPrompt ChatTemplate::Render(std::span<const ChatMessage> messages,
                                std::span<const ChatTool> tools,
                                const PromptOptions& options) const {
  const bool goes_on = options.lead == ReplyLead::kText && !messages.empty() &&
                       messages.back().role == ChatRole::kAssistant &&
                       messages.back().calls.empty();
  ChatPrompt prompt =
      RenderPast(goes_on ? messages.first(messages.size() - 1) : messages, tools, options);
  prompt.text += form_.reply_head;
  if (goes_on) {
    const std::string begun = DropThoughts(messages.back().text);
    if (!begun.empty()) prompt.text += form_.reply_space + begun;
    return prompt;
  }
  switch (options.lead) {
    case ReplyLead::kText:
      prompt.reply_start = ReplyStart(options.think);
      break;
    case ReplyLead::kCall:
      prompt.reply_start = form_.reply_space + form_.call_mark + kFence;
      break;
    case ReplyLead::kJson:
      prompt.reply_start = form_.reply_space + kFence;
      break;
  }
  prompt.text += prompt.reply_start;
  return prompt;
}

}  // namespace linnet
