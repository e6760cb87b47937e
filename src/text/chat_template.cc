#include "text/chat_template.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr std::pair<std::string_view, Think> kThinkNames[] = {
    {"none", Think::kNone}, {"fast", Think::kFast},     {"free", Think::kFree},
    {"bit", Think::kBit},   {"medium", Think::kMedium}, {"lot", Think::kLot}};

std::string_view Strip(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::string InsideJsonString(const std::string& text) {
  const std::string quoted =
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

const char* LengthWish(Think think) {
  switch (think) {
    case Think::kBit:
      return " (think a bit)";
    case Think::kMedium:
      return " (think)";
    case Think::kLot:
      return " (think a lot)";
    default:
      return "";
  }
}

}  // namespace

Think ParseThink(std::string_view name) {
  for (const auto& [known, think] : kThinkNames) {
    if (known == name) return think;
  }
  throw Error(ErrorKind::kBadInput,
              fmt::format("unknown think `{}`, expected none, fast, free, bit, medium, lot", name));
}

const std::vector<ChatTemplate>& ChatTemplate::All() {
  static const std::vector<ChatTemplate> kAll = [] {
    const auto speakers = [](const char* name, const char* user, const char* reply,
                             const char* stop) {
      ChatTemplate t;
      t.name_ = name;
      t.user_start_ = fmt::format("{}: ", user);
      t.user_end_ = fmt::format("\n\n{}:", reply);
      t.reply_space_ = " ";
      t.reply_end_ = "\n\n";
      t.stops_ = {stop};
      return t;
    };
    ChatTemplate world = speakers("world", "User", "Assistant", "\n\nUser:");
    world.system_start_ = "System: ";
    world.thinks_ = true;
    ChatTemplate g1 = world;
    g1.name_ = "g1";
    g1.default_think_ = Think::kFree;
    // Replies are one paragraph, because the training data was cleaned that way.
    ChatTemplate classic = speakers("world-classic", "User", "Assistant", "\n\n");
    classic.system_start_ = "System: ";
    ChatTemplate instruct;
    instruct.name_ = "instruct";
    instruct.default_system_ =
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.";
    instruct.user_start_ = "# Instruction:\n";
    instruct.user_end_ = "\n\n# Response:\n";
    instruct.reply_end_ = "\n\n";
    instruct.stops_ = {"\n\n# Instruction:", "\n\nBelow is an instruction"};
    ChatTemplate json;  // Stanford Alpaca's alpaca_data.json, read as text
    json.name_ = "alpaca-json";
    json.user_start_ = "    {\n        \"instruction\": \"";
    json.user_end_ = "\",\n        \"input\": \"\",\n        \"output\": \"";
    json.reply_end_ = "\"\n    },\n";
    json.stops_ = {"\"\n", "\",\n"};
    json.json_ = true;
    return std::vector<ChatTemplate>{world,
                                     classic,
                                     g1,
                                     speakers("raven", "Bob", "Alice", "\n\n"),
                                     speakers("qa", "Q", "A", "\n\n"),
                                     instruct,
                                     json};
  }();
  return kAll;
}

std::vector<std::string> ChatTemplate::Names() {
  std::vector<std::string> names;
  for (const ChatTemplate& t : All()) names.push_back(t.name_);
  return names;
}

const ChatTemplate& ChatTemplate::Named(std::string_view name) {
  for (const ChatTemplate& t : All()) {
    if (t.name_ == name) return t;
  }
  throw Error(ErrorKind::kBadInput,
              fmt::format("no chat template `{}`; known: {}", name, fmt::join(Names(), ", ")));
}

const ChatTemplate& ChatTemplate::For(Generation generation, const Tokenizer& tokenizer) {
  const std::string_view tokens = tokenizer.name();
  if (tokens == "bytes") return Named("alpaca-json");
  if (tokens == "20b") return Named("raven");
  const bool late = generation >= Generation::k6;
  return Named(late ? "world" : "world-classic");
}

std::string ChatTemplate::Opening(std::string_view system) const {
  const std::string text = CleanTurn(system);
  if (!text.empty()) return system_start_ + text + "\n\n";
  return default_system_.empty() ? "" : default_system_ + "\n\n";
}

std::string ChatTemplate::UserTurn(std::string_view user, Think think) const {
  const std::string text = CleanTurn(user) + LengthWish(think);
  return user_start_ + (json_ ? InsideJsonString(text) : text) + user_end_;
}

std::string ChatTemplate::Prompt(std::string_view user, Think think) const {
  return UserTurn(user, think) + ReplyStart(think);
}

std::string ChatTemplate::ReplyStart(Think think) const {
  if (think == Think::kNone) return "";
  if (!thinks_) {
    throw Error(
        ErrorKind::kBadInput,
        fmt::format("the chat template {} does not support thoughts; use world or g1", name_));
  }
  // Without the last `>`, which the tokenizer would join with the text after it.
  return think == Think::kFast ? " <think>\n</think" : " <think";
}

std::string ChatTemplate::Past(std::string_view user, std::string_view reply) const {
  return UserTurn(user, Think::kNone) + reply_space_ + DropThoughts(reply) + reply_end_;
}

std::string CleanTurn(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    if (text[i] == '\n' && !out.empty() && out.back() == '\n') continue;
    out += text[i];
  }
  return std::string(Strip(out));
}

std::string DropThoughts(std::string_view reply) {
  constexpr std::string_view kBegin = "<think>", kEnd = "</think>";
  std::string out;
  for (;;) {
    const size_t begin = reply.find(kBegin), end = reply.find(kEnd);
    if (end == reply.npos) {
      out += reply.substr(0, begin);
      return std::string(Strip(out));
    }
    // Only an end tag: the thought began in the prompt.
    if (begin < end) {
      out += reply.substr(0, begin);
    } else {
      out.clear();
    }
    reply.remove_prefix(end + kEnd.size());
  }
}

std::vector<int32_t> EncodePrompt(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids = tokenizer.Encode(text);
  const bool is_20b = std::string_view(tokenizer.name()) == "20b";
  if (is_20b && !ids.empty() && tokenizer.Bytes(ids.back()) == "\n\n") {
    const std::vector<int32_t> line_end = tokenizer.Encode("\n");
    ids.pop_back();
    for (int i = 0; i < 2; ++i) ids.insert(ids.end(), line_end.begin(), line_end.end());
  }
  return ids;
}

std::vector<int32_t> EndOfTextIds(const Tokenizer& tokenizer) {
  if (std::string_view(tokenizer.name()) == "bytes") return {};
  return {0};
}

}  // namespace linnet
