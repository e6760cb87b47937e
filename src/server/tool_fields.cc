// The fields of a request that say which functions the model may call.
#include <fmt/format.h>

#include <algorithm>

#include "server/chat_request.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMostTools = 512, kLongestName = 128;

// Names are part of the prompt and of the grammar of calls.
void CheckName(const std::string& name, const std::string& where) {
  const bool good = !name.empty() && name.size() <= kLongestName &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
                    });
  if (good) return;
  throw RequestError(400,
                     fmt::format("{} is no name, expected 1 to {} of letters, digits, _, - and .",
                                 where, kLongestName),
                     where, "invalid_value");
}

ChatTool ParseTool(const Fields& function, const char* schema) {
  ChatTool tool;
  tool.name = function.RequiredString("name");
  CheckName(tool.name, function.NameOf("name"));
  tool.description = function.String("description").value_or("");
  tool.strict = function.Bool("strict", false);
  if (const auto parameters = function.Object(schema)) {
    if (!parameters->json().empty()) tool.parameters = Dump(parameters->json());
  }
  return tool;
}

}  // namespace

ToolChoice NamedTool(const std::string& name, const std::vector<ChatTool>& tools,
                     const std::string& where) {
  const bool known = std::any_of(tools.begin(), tools.end(),
                                 [&](const ChatTool& tool) { return tool.name == name; });
  if (!known) {
    throw RequestError(400, fmt::format("{} names a function that is not among the tools", where),
                       where, "invalid_value");
  }
  return {ToolChoice::Kind::kNamed, name};
}

ToolChoice WordChoice(const std::string& word, const std::vector<ChatTool>& tools,
                      const std::string& where) {
  if (word == "none") return {ToolChoice::Kind::kNone};
  if (word == "auto") return {ToolChoice::Kind::kAuto};
  if (word != "required" && word != "any") {
    throw RequestError(400,
                       fmt::format("{} is no known word, expected none, auto or required", where),
                       where, "invalid_value");
  }
  if (tools.empty()) {
    throw RequestError(400, fmt::format("{} asks for a call, but there are no functions", where),
                       where, "invalid_value");
  }
  return {ToolChoice::Kind::kRequired};
}

void AddTool(std::vector<ChatTool>& tools, const Fields& function, const char* schema) {
  ChatTool tool = ParseTool(function, schema);
  for (const ChatTool& other : tools) {
    if (other.name == tool.name) {
      throw RequestError(400,
                         fmt::format("{} '{}' is given twice", function.NameOf("name"), tool.name),
                         function.NameOf("name"), "invalid_value");
    }
  }
  tools.push_back(std::move(tool));
}

std::vector<ChatTool> ParseTools(const Fields& body) {
  std::vector<ChatTool> tools;
  if (const Json* list = body.List("tools", kMostTools)) {
    for (size_t i = 0; i < list->size(); ++i) {
      const Fields tool((*list)[i], body.NameOf("tools", i));
      if (tool.String("type").value_or("function") != "function") continue;
      const auto nested = tool.Object("function");
      AddTool(tools, nested ? *nested : tool);
    }
  } else if (const Json* functions = body.List("functions", kMostTools)) {
    for (size_t i = 0; i < functions->size(); ++i) {
      AddTool(tools, Fields((*functions)[i], body.NameOf("functions", i)));
    }
  }
  return tools;
}

ToolChoice ParseToolChoice(const Fields& body, const std::vector<ChatTool>& tools) {
  for (const char* field : {"tool_choice", "function_call"}) {
    const Json* choice = body.Find(field);
    if (choice == nullptr) continue;
    const std::string where = body.NameOf(field);
    if (choice->is_string()) return WordChoice(choice->get<std::string>(), tools, where);
    const Fields object(*choice, where);
    const std::string type = object.String("type").value_or("function");
    if (type == "allowed_tools") {  // the list is not narrowed: the prompt would change
      const auto nested = object.Object("allowed_tools");
      return WordChoice((nested ? *nested : object).String("mode").value_or("auto"), tools, where);
    }
    if (type != "function") return {};  // of a tool that was left out
    const auto nested = object.Object("function");
    return NamedTool((nested ? *nested : object).RequiredString("name"), tools, where);
  }
  return {};
}

}  // namespace linnet
