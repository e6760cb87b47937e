#include "text/chat_template.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/mapped_file.h"
#include "linnet/error.h"

namespace linnet {
namespace {

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

ChatTemplate::ChatTemplate(ChatForm form) : form_(std::move(form)) {
  const auto refuse = [&](const char* what) {
    throw Error(ErrorKind::kBadInput, fmt::format("chat template {}: {}", form_.name, what));
  };
  if (form_.user_start.empty() && form_.reply_head.empty()) {
    refuse("user_start and reply_head are both empty, so that no turn can be told from another");
  }
  if (form_.stops.empty()) refuse("stops is empty, so that no reply would end");
  for (const std::string& stop : form_.stops) {
    if (stop.empty()) refuse("stops has an empty string");
  }
  if (form_.default_think != Think::kNone && !form_.thinks) {
    refuse("default_think asks for thoughts, but thinks is false");
  }
}

const ChatTemplate& ChatTemplate::Named(std::string_view name) {
  static const std::vector<ChatTemplate> kAll = [] {
    std::vector<ChatTemplate> all;
    all.reserve(BuiltInChatForms().size());
    for (const ChatForm& form : BuiltInChatForms()) all.emplace_back(form);
    return all;
  }();
  return kAll[static_cast<size_t>(&ChatFormNamed(name) - BuiltInChatForms().data())];
}

std::vector<std::string> ChatTemplate::Names() {
  std::vector<std::string> names;
  names.reserve(BuiltInChatForms().size());
  for (const ChatForm& form : BuiltInChatForms()) names.push_back(form.name);
  return names;
}

const ChatTemplate& ChatTemplate::For(Generation generation, const Tokenizer& tokenizer) {
  const std::string_view tokens = tokenizer.name();
  if (tokens == "bytes") return Named("alpaca-json");
  if (tokens == "20b") return Named("raven");
  const bool late = generation >= Generation::k6;
  return Named(late ? "world" : "world-classic");
}

ChatTemplate ChatTemplate::Load(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ChatForm form = ParseChatForm(text, path.string());
  if (form.name == path.string()) form.name = path.stem().string();
  return ChatTemplate(std::move(form));
}

std::string ChatTemplate::Clean(std::string_view text) const {
  std::string clean = CleanTurn(text);
  // Without an empty line between turns, a line of the text may look like the start of one.
  if (form_.json || form_.user_end.starts_with("\n\n")) return clean;
  std::string out;
  for (size_t begin = 0; begin < clean.size();) {
    const std::string_view rest = std::string_view(clean).substr(begin);
    const std::string_view line = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
    for (const std::string* start :
         {&form_.system_start, &form_.user_start, &form_.reply_head, &form_.tool_start}) {
      const std::string_view word = std::string_view(*start).substr(0, start->find('\n'));
      if (!word.empty() && line.starts_with(word)) {
        out += ' ';
        break;
      }
    }
    out += line;
    begin += line.size();
  }
  return out;
}

std::string ChatTemplate::Opening(std::string_view system) const {
  const std::string text = Clean(system);
  if (!text.empty()) return form_.system_start + text + form_.system_end;
  return form_.default_system.empty() ? "" : form_.default_system + form_.system_end;
}

std::string ChatTemplate::UserTurn(std::string_view user, Think think) const {
  const std::string text = Clean(user) + LengthWish(think);
  return form_.user_start + (form_.json ? InsideJsonString(text) : text) + form_.user_end;
}

std::string ChatTemplate::Prompt(std::string_view user, Think think) const {
  return UserTurn(user, think) + form_.reply_head + ReplyStart(think);
}

std::string ChatTemplate::ReplyStart(Think think) const {
  if (think == Think::kNone) return "";
  if (!form_.thinks) {
    throw Error(
        ErrorKind::kBadInput,
        fmt::format("the chat template {} does not support thoughts; use world or g1", form_.name));
  }
  return form_.reply_space + (think == Think::kFast ? form_.think_skip : form_.think_start);
}

std::string ChatTemplate::Past(std::string_view user, std::string_view reply) const {
  return UserTurn(user, Think::kNone) + form_.reply_head + form_.reply_space + DropThoughts(reply) +
         form_.reply_end;
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

std::vector<size_t> TokensUpTo(const Tokenizer& tokenizer, std::span<const int32_t> tokens,
                               std::span<const size_t> places) {
  std::vector<size_t> counts;
  counts.reserve(places.size());
  size_t token = 0, end = 0;  // the bytes of the tokens before `token`
  for (const size_t place : places) {
    while (token < tokens.size() && end + tokenizer.Bytes(tokens[token]).size() <= place) {
      end += tokenizer.Bytes(tokens[token++]).size();
    }
    counts.push_back(token);
  }
  return counts;
}

std::vector<int32_t> EndOfTextIds(const Tokenizer& tokenizer) {
  if (std::string_view(tokenizer.name()) == "bytes") return {};
  return {0};
}

}  // namespace linnet
