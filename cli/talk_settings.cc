#include "cli/talk_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/lower.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

constexpr const char* kTemplate = "template";
constexpr const char* kThink = "think";
constexpr const char* kMaxTokens = "max-tokens";
constexpr const char* kStop = "stop";

// Whether the model thinks, from the name of the file or its folder, because the file does not
// contain it. In a folder the file may be named model.safetensors.
bool NamedG1(const std::filesystem::path& path) {
  const std::string folder = path.parent_path().filename().string();
  return Lower(folder + "/" + path.filename().string()).find("g1") != std::string::npos;
}

std::string Normal(std::string_view key) {
  std::string name(key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

size_t ParseTokens(const std::string& text) {
  constexpr size_t kMost = size_t{1} << 30;
  size_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end && value <= kMost) return value;
  throw Error(ErrorKind::kBadInput,
              fmt::format("max-tokens: '{}' is not a number from 0 to {}", text, kMost));
}

// Escapes characters that a line cannot contain as \n, \t and \\.
std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] == '\\' && (next == 'n' || next == 't' || next == '\\')) {
      out += next == 'n' ? '\n' : next == 't' ? '\t' : '\\';
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string ShowStops(const std::vector<std::string>& stops) {
  std::string list;
  for (const std::string& stop : stops) {
    if (!list.empty()) list += ' ';
    list += nlohmann::json(stop).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return list.empty() ? "none" : list;
}

}  // namespace

const ChatTemplate& TemplateFor(const std::string& name, const Model& model,
                                const Tokenizer& tokenizer) {
  if (name != "auto") return ChatTemplate::Named(name);
  const ChatTemplate& usual = ChatTemplate::For(model.config().generation, tokenizer);
  return usual.thinks() && NamedG1(model.path()) ? ChatTemplate::Named("g1") : usual;
}

Think ThinkFor(const std::string& name, const ChatTemplate& form) {
  if (name == "auto") return form.default_think();
  if (name == "on") return Think::kFree;
  if (name == "off") return form.default_think() == Think::kNone ? Think::kNone : Think::kFast;
  return ParseThink(name);
}

TalkSettings::TalkSettings(Conversation& conversation, std::shared_ptr<const Tokenizer> tokenizer,
                           Sampling sampling, std::string think, std::string form)
    : conversation_(conversation),
      tokenizer_(std::move(tokenizer)),
      sampling_(std::move(sampling)),
      think_(std::move(think)),
      form_(std::move(form)) {}

std::vector<std::string> TalkSettings::All() const {
  const ConversationOptions& o = conversation_.options();
  std::vector<std::string> lines = ShowSampling(sampling_);
  const auto add = [&](const char* key, const std::string& value) {
    lines.push_back(fmt::format("{} {}", key, value));
  };
  add(kTemplate, o.chat_template->name() + (form_ == "auto" ? " (auto)" : ""));
  add(kThink, think_);
  add(kMaxTokens, std::to_string(o.max_tokens));
  add(kStop, ShowStops(o.stops));
  return lines;
}

std::string TalkSettings::Show(std::string_view key) const {
  const std::string start = Normal(key) + " ";
  for (std::string& line : All()) {
    if (line.starts_with(start)) return std::move(line);
  }
  throw Error(ErrorKind::kBadInput, fmt::format("no setting is named '{}'; /set lists them", key));
}

void TalkSettings::Set(std::string_view key, const std::string& value) {
  const std::string name = Normal(key);
  if (name == kTemplate) {
    SetTemplate(value);
  } else if (name == kThink) {
    SetThink(value);
  } else if (name == kMaxTokens) {
    conversation_.options().max_tokens = ParseTokens(value);
  } else if (name == kStop) {
    SetStop(value);
  } else {
    Show(name);
    Sampling changed = sampling_;
    SetSampling(changed, name, value);
    FitSampling(changed, *tokenizer_, model().config().vocab);
    sampling_ = std::move(changed);
    conversation_.session().sampler() = Sampler(sampling_.options, tokenizer_);
  }
}

void TalkSettings::SetTemplate(const std::string& name) {
  const ChatTemplate& form = TemplateFor(name, model(), *tokenizer_);
  conversation_.SetTemplate(form, ThinkFor(think_, form));
  form_ = name;
}

void TalkSettings::SetThink(const std::string& name) {
  const ChatTemplate& form = *conversation_.options().chat_template;
  const Think think = ThinkFor(name, form);
  conversation_.SetTemplate(form, think);
  think_ = name;
}

void TalkSettings::SetStop(const std::string& value) {
  std::vector<std::string>& stops = conversation_.options().stops;
  if (value == "none") {
    stops.clear();
    return;
  }
  const std::string stop = Unescape(value);
  if (std::find(stops.begin(), stops.end(), stop) == stops.end()) stops.push_back(stop);
}

}  // namespace linnet::cli
