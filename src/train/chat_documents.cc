// DocumentOf: training records in the common JSON formats.
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>

#include "linnet/error.h"
#include "text/json_line.h"
#include "train/documents.h"

namespace linnet {
namespace {

using nlohmann::json;

enum class Role { kSystem, kUser, kTool, kAssistant };

struct Message {
  Role role;
  std::string text;
};

// ShareGPT's name for a turn in which the model calls a tool.
constexpr const char* kCallRole = "function_call";

[[noreturn]] void Fail(const std::string& what) { throw Error(ErrorKind::kBadInput, what); }

std::string TextOf(const json& object, const char* key) {
  const auto value = object.find(key);
  if (value == object.end() || !value->is_string()) {
    Fail(fmt::format("expected \"{}\" to be a text", key));
  }
  return value->get<std::string>();
}

// The value of the first key that the object has; null if it has none.
const char* FirstOf(const json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (object.contains(key)) return key;
  }
  return nullptr;
}

Role RoleOf(const std::string& name) {
  const auto is = [&](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&](const char* n) { return name == n; });
  };
  if (is({"system", "developer"})) return Role::kSystem;
  if (is({"tool", "function", "observation", "function_response", "tool_response"})) {
    return Role::kTool;
  }
  if (is({"user", "human", "User", "prompter"})) return Role::kUser;
  if (is({"assistant", "gpt", "bot", "model", "Assistant", "chatgpt", kCallRole})) {
    return Role::kAssistant;
  }
  Fail(
      fmt::format("the speaker `{}` is not one of system, user, human, assistant, gpt, bot, model, "
                  "tool, function",
                  name.substr(0, 40)));
}

std::string Dumped(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// A text, or a list of {"type": "text", "text"}. The result of a tool may be any JSON.
std::string ContentOf(const json& content, Role role) {
  if (content.is_string()) return content.get<std::string>();
  if (content.is_null()) return "";
  if (role == Role::kTool && !content.is_array()) return Dumped(content);
  if (!content.is_array()) Fail("expected the content of a message to be a text");
  std::string text;
  for (const json& part : content) {
    const bool is_text = part.is_object() && part.contains("text") && part["text"].is_string();
    if (!is_text && role == Role::kTool) return Dumped(content);
    if (!is_text) Fail("a message has a part that is not text");
    if (!text.empty()) text += '\n';
    text += part["text"].get_ref<const std::string&>();
  }
  return text;
}

std::string Fenced(const std::string& call) { return "```json\n" + call + "\n```"; }

// {"name","arguments"} as text, from OpenAI's {"type": "function", "function": {…}}, whose
// arguments are a string of JSON.
std::string CallOf(const json& call) {
  const json& function = call.is_object() && call.contains("function") ? call["function"] : call;
  if (!function.is_object() || !function.contains("name")) Fail("a tool call has no \"name\"");
  json arguments = json::object();
  if (const auto it = function.find("arguments"); it != function.end()) arguments = *it;
  if (arguments.is_string()) {
    json inner = json::parse(arguments.get_ref<const std::string&>(), nullptr, false);
    if (inner.is_object()) arguments = std::move(inner);
  }
  return fmt::format(R"({{"name": {}, "arguments": {}}})", Dumped(function["name"]),
                     Dumped(arguments));
}

// One call as an object, several as a list; empty if there are none.
std::string CallsOf(const json& turn) {
  if (const auto it = turn.find("function_call"); it != turn.end() && it->is_object()) {
    return Fenced(CallOf(*it));
  }
  const auto it = turn.find("tool_calls");
  if (it == turn.end() || !it->is_array() || it->empty()) return "";
  if (it->size() == 1) return Fenced(CallOf(it->front()));
  std::string list;
  for (const json& call : *it) {
    list += list.empty() ? "[" : ",\n";
    list += CallOf(call);
  }
  return Fenced(list + "]");
}

// The list of tools for the system text; empty if there is none.
std::string ToolsOf(const json& object) {
  const auto it = object.find("tools");
  if (it == object.end()) return "";
  std::string list;
  if (it->is_string()) list = it->get<std::string>();
  if (it->is_array()) {
    for (const json& tool : *it) {
      const bool wrapped = tool.is_object() && tool.contains("function");
      if (!list.empty()) list += '\n';
      list += Dumped(wrapped ? tool["function"] : tool);
    }
  }
  return list.empty() ? "" : "Tools:\n" + list;
}

std::vector<Message> MessagesOf(const json& turns) {
  if (!turns.is_array() || turns.empty()) Fail("expected a list of messages");
  std::vector<Message> messages;
  for (const json& turn : turns) {
    const char* const role = FirstOf(turn, {"role", "from"});
    const char* const content = FirstOf(turn, {"content", "value", "text"});
    const std::string calls = turn.is_object() ? CallsOf(turn) : "";
    if (role == nullptr || (content == nullptr && calls.empty())) {
      Fail("a message has no {\"role\", \"content\"} and no {\"from\", \"value\"}");
    }
    const std::string name = TextOf(turn, role);
    Message message{RoleOf(name), ""};
    if (content != nullptr) message.text = ContentOf(turn[content], message.role);
    if (name == kCallRole) message.text = Fenced(message.text);
    if (!calls.empty() && !message.text.empty()) message.text += '\n';
    message.text += calls;
    messages.push_back(std::move(message));
  }
  return messages;
}

// The reply with the separator after the speaker's name. Empty for an empty reply: the model then
// learns to reply with nothing.
std::string ReplyText(const ChatTemplate& chat, const std::string& reply) {
  const std::string none = chat.Past("", "");
  const std::string start = chat.Prompt("", Think::kNone);
  const std::string space =
      none.substr(start.size(), none.size() - start.size() - chat.ReplyEnd().size());
  const auto begin = reply.find_first_not_of(" \t\r\n");
  if (begin == reply.npos) return "";
  return space + reply.substr(begin, reply.find_last_not_of(" \t\r\n") + 1 - begin);
}

void Append(Document& document, std::string text, bool learnt) {
  if (text.empty() && !learnt) return;
  if (!document.empty() && document.back().learnt == learnt) {
    document.back().owned += text;
  } else {
    document.push_back({.owned = std::move(text), .learnt = learnt});
  }
}

// The number of bytes at the start of a prompt that end the reply before it.
size_t StopIn(const ChatTemplate& chat, const std::string& prompt) {
  for (const std::string& stop : chat.stops()) {
    if (stop.substr(0, chat.ReplyEnd().size()) != chat.ReplyEnd()) continue;
    const std::string rest = stop.substr(chat.ReplyEnd().size());
    if (prompt.substr(0, rest.size()) == rest) return rest.size();
  }
  return 0;
}

Document Conversation(std::vector<Message> messages, const ChatTemplate& chat) {
  Document document;
  size_t at = 0;
  std::string system;
  for (; at < messages.size() && messages[at].role == Role::kSystem; ++at) {
    system += system.empty() ? messages[at].text : "\n" + messages[at].text;
  }
  Append(document, chat.Opening(system), false);
  // The end of a reply is learnt with it; after the last reply this is the end of the text.
  bool replied = false;
  while (at < messages.size()) {
    std::string user;
    for (; at < messages.size() && messages[at].role != Role::kAssistant; ++at) {
      if (!user.empty()) user += '\n';
      if (messages[at].role == Role::kTool) user += "Function output:\n";
      user += messages[at].text;
    }
    if (at == messages.size()) break;  // a question without a reply
    const std::string prompt = chat.Prompt(user, Think::kNone);
    const size_t stop = replied ? StopIn(chat, prompt) : 0;
    if (replied) Append(document, chat.ReplyEnd() + prompt.substr(0, stop), true);
    Append(document, prompt.substr(stop), false);
    std::string reply;
    for (; at < messages.size() && messages[at].role == Role::kAssistant; ++at) {
      reply += reply.empty() ? messages[at].text : "\n" + messages[at].text;
    }
    // In a chat the model sees its older replies without their thoughts.
    if (at < messages.size()) reply = DropThoughts(reply);
    Append(document, ReplyText(chat, reply), true);
    replied = true;
  }
  if (!replied) Fail("a conversation without a reply: nothing would be learnt");
  return document;
}

}  // namespace

Document DocumentOf(std::string_view json_line, const ChatTemplate& chat) {
  const json object = ParseJsonLine(json_line);
  if (object.contains("text")) return {DocumentPart{.owned = TextOf(object, "text")}};
  if (const char* turns = FirstOf(object, {"messages", "conversations", "conversation"})) {
    std::vector<Message> messages = MessagesOf(object[turns]);
    if (const std::string tools = ToolsOf(object); !tools.empty()) {
      messages.insert(messages.begin(), {Role::kSystem, tools});
    }
    if (object.contains("system") && object["system"].is_string()) {
      messages.insert(messages.begin(), {Role::kSystem, TextOf(object, "system")});
    }
    return Conversation(std::move(messages), chat);
  }
  const char* const prompt = FirstOf(object, {"instruction", "prompt", "question", "query"});
  const char* const reply = FirstOf(object, {"response", "answer", "output", "completion"});
  if (prompt == nullptr || reply == nullptr) {
    Fail(
        "expected {\"text\"}, {\"messages\"}, {\"conversations\"}, or one of prompt, question, "
        "query, instruction with one of response, answer, output, completion");
  }
  std::vector<Message> messages;
  if (object.contains("system") && object["system"].is_string()) {
    messages.push_back({Role::kSystem, TextOf(object, "system")});
  }
  messages.push_back({Role::kUser, TextOf(object, prompt)});
  if (object.contains("input") && object["input"].is_string()) {
    if (const std::string input = TextOf(object, "input"); !input.empty()) {
      messages.push_back({Role::kUser, input});
    }
  }
  messages.push_back({Role::kAssistant, TextOf(object, reply)});
  return Conversation(std::move(messages), chat);
}

}  // namespace linnet
