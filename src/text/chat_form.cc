#include "text/chat_form.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr std::pair<std::string_view, Think> kThinkNames[] = {
    {"none", Think::kNone}, {"fast", Think::kFast},     {"free", Think::kFree},
    {"bit", Think::kBit},   {"medium", Think::kMedium}, {"lot", Think::kLot}};

constexpr std::pair<std::string_view, ToolForm> kToolForms[] = {
    {"none", ToolForm::kNone},
    {"signatures", ToolForm::kSignatures},
    {"schemas", ToolForm::kSchemas},
    {"headings", ToolForm::kHeadings}};

ChatForm Speakers(std::string name, const char* user, const char* reply, const char* stop) {
  ChatForm form;
  form.name = std::move(name);
  form.user_start = fmt::format("{}: ", user);
  form.reply_head = fmt::format("{}:", reply);
  form.reply_space = std::string(1, ' ');
  form.stops = {stop};
  return form;
}

// The forms of G1's training data (RWKV7-G1x-templates.txt), which later World models share.
ChatForm World() {
  ChatForm form = Speakers("world", "User", "Assistant", "\n\nUser:");
  form.system_start = "System: ";
  form.thinks = true;
  form.tools = ToolForm::kSignatures;
  form.tools_start = "Tools:\n";
  form.tools_end = "\nReturn only a JSON function call if a function is needed.";
  form.tool_start = "User: Function output:\n";
  return form;
}

// Their second form of functions: headings, separated by single line ends.
ChatForm Headings() {
  ChatForm form;
  form.name = "g1-headings";
  form.system_start = "### System\n";
  form.user_start = "### User\n";
  form.reply_head = "### Assistant\n";
  form.system_end = form.user_end = form.reply_end = "\n";
  form.stops = {"\n### User", "\n### Tool Output", "\nUser:"};
  form.tools = ToolForm::kHeadings;
  form.call_mark = "**Tool Call:**\n";
  form.tool_start = "### Tool Output\n```json\n";
  form.tool_end = "\n```\n";
  form.thinks = true;
  form.default_think = Think::kFree;
  return form;
}

std::vector<ChatForm> MakeForms() {
  const ChatForm world = World();
  ChatForm g1 = world;
  g1.name = "g1";
  g1.default_think = Think::kFree;
  // Replies are one paragraph, because the training data was cleaned that way.
  ChatForm classic = Speakers("world-classic", "User", "Assistant", "\n\n");
  classic.system_start = "System: ";
  ChatForm instruct;
  instruct.name = "instruct";
  instruct.default_system =
      "Below is an instruction that describes a task. Write a response that appropriately "
      "completes the request.";
  instruct.user_start = "# Instruction:\n";
  instruct.reply_head = "# Response:\n";
  instruct.stops = {"\n\n# Instruction:", "\n\nBelow is an instruction"};
  ChatForm json;  // Stanford Alpaca's alpaca_data.json, read as text
  json.name = "alpaca-json";
  json.user_start = "    {\n        \"instruction\": \"";
  json.user_end = "\",\n        \"input\": \"\",\n";
  json.reply_head = "        \"output\": \"";
  json.reply_end = "\"\n    },\n";
  json.stops = {"\"\n", "\",\n"};
  json.json = true;
  return {world,
          classic,
          g1,
          Headings(),
          Speakers("raven", "Bob", "Alice", "\n\n"),
          Speakers("qa", "Q", "A", "\n\n"),
          instruct,
          json};
}

class FormReader {
 public:
  explicit FormReader(std::string source) : source_(std::move(source)) {}

  ChatForm Read(std::string_view text) {
    nlohmann::json file;
    try {
      file = nlohmann::json::parse(text);
    } catch (const nlohmann::json::exception& error) {
      throw Error(ErrorKind::kBadInput, fmt::format("{}: is not JSON in UTF-8 ({})", source_,
                                                    std::string_view(error.what()).substr(0, 200)));
    }
    if (!file.is_object()) Refuse("is not a JSON object");
    ChatForm form;
    form.name = source_;
    if (const auto base = file.find("base"); base != file.end()) {
      form = ChatFormNamed(Text("base", *base));
      form.name = source_;
    }
    for (const auto& [key, value] : file.items()) Set(form, key, value);
    return form;
  }

 private:
  [[noreturn]] void Refuse(const std::string& what) const {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: {}", source_, what));
  }

  std::string Text(const std::string& key, const nlohmann::json& value) const {
    if (!value.is_string()) Refuse(fmt::format("`{}` is no string", key));
    return value.get<std::string>();
  }

  std::vector<std::string> Texts(const std::string& key, const nlohmann::json& value) const {
    if (!value.is_array()) Refuse(fmt::format("`{}` is no list of strings", key));
    std::vector<std::string> texts;
    texts.reserve(value.size());
    for (const auto& entry : value) texts.push_back(Text(key, entry));
    return texts;
  }

  bool Flag(const std::string& key, const nlohmann::json& value) const {
    if (!value.is_boolean()) Refuse(fmt::format("`{}` is neither true nor false", key));
    return value.get<bool>();
  }

  void Set(ChatForm& form, const std::string& key, const nlohmann::json& value) const {
    static const std::map<std::string_view, std::string ChatForm::*> kTexts = {
        {"name", &ChatForm::name},
        {"system_start", &ChatForm::system_start},
        {"system_end", &ChatForm::system_end},
        {"default_system", &ChatForm::default_system},
        {"user_start", &ChatForm::user_start},
        {"user_end", &ChatForm::user_end},
        {"reply_head", &ChatForm::reply_head},
        {"reply_space", &ChatForm::reply_space},
        {"reply_end", &ChatForm::reply_end},
        {"tools_start", &ChatForm::tools_start},
        {"tools_end", &ChatForm::tools_end},
        {"call_mark", &ChatForm::call_mark},
        {"tool_start", &ChatForm::tool_start},
        {"tool_end", &ChatForm::tool_end},
        {"think_start", &ChatForm::think_start},
        {"think_skip", &ChatForm::think_skip}};
    if (const auto text = kTexts.find(key); text != kTexts.end()) {
      form.*text->second = Text(key, value);
    } else if (key == "stops") {
      form.stops = Texts(key, value);
    } else if (key == "tool_stops") {
      form.tool_stops = Texts(key, value);
    } else if (key == "thinks") {
      form.thinks = Flag(key, value);
    } else if (key == "json") {
      form.json = Flag(key, value);
    } else if (key == "default_think") {
      form.default_think = ParseThink(Text(key, value));
    } else if (key == "tools") {
      form.tools = Tools(Text(key, value));
    } else if (key != "base") {
      Refuse(fmt::format("unknown key `{}`", key.substr(0, 60)));
    }
  }

  ToolForm Tools(const std::string& name) const {
    for (const auto& [known, form] : kToolForms) {
      if (known == name) return form;
    }
    Refuse(fmt::format("`tools` is `{}`, expected none, signatures, schemas, headings",
                       name.substr(0, 60)));
  }

  std::string source_;
};

}  // namespace

Think ParseThink(std::string_view name) {
  for (const auto& [known, think] : kThinkNames) {
    if (known == name) return think;
  }
  throw Error(ErrorKind::kBadInput,
              fmt::format("unknown think `{}`, expected none, fast, free, bit, medium, lot",
                          name.substr(0, 60)));
}

const std::vector<ChatForm>& BuiltInChatForms() {
  static const std::vector<ChatForm> kForms = MakeForms();
  return kForms;
}

const ChatForm& ChatFormNamed(std::string_view name) {
  std::vector<std::string_view> names;
  names.reserve(BuiltInChatForms().size());
  for (const ChatForm& form : BuiltInChatForms()) {
    if (form.name == name) return form;
    names.push_back(form.name);
  }
  throw Error(ErrorKind::kBadInput, fmt::format("no chat template `{}`; known: {}",
                                                name.substr(0, 60), fmt::join(names, ", ")));
}

ChatForm ParseChatForm(std::string_view json, const std::string& source) {
  return FormReader(source).Read(json);
}

}  // namespace linnet
