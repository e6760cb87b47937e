#include "cli/usage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::cli {
namespace {

// The edit distance in letters.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t before = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = before + (a[i] == b[j] ? 0 : 1);
      before = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// "linnet vocab train"
std::string FullName(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : FullName(*parent) + " " + command.get_name();
}

// `app` and the subcommands that were given.
std::vector<const CLI::App*> Reached(const CLI::App& app) {
  std::vector<const CLI::App*> path = {&app};
  while (!path.back()->get_subcommands().empty()) {
    path.push_back(path.back()->get_subcommands().back());
  }
  return path;
}

bool IsShown(const CLI::Option& option) { return option.get_group() != kUnheeded; }

// `at` has no command with that name.
class NoCommand : public CLI::ParseError {
 public:
  NoCommand(const CLI::App& at, std::string message)
      : ParseError("NoCommand", std::move(message), CLI::ExitCodes::ExtrasError), at_(at) {}
  const CLI::App& at() const { return at_; }

 private:
  const CLI::App& at_;
};

bool Is(const CLI::ParseError& error, CLI::ExitCodes kind) {
  return error.get_exit_code() == static_cast<int>(kind);
}

bool Takes(const CLI::App& command, const std::string& option) {
  const CLI::Option* found = command.get_option_no_throw(option);
  return found != nullptr && IsShown(*found);
}

// The names of the commands at and below `app` whose help shows `option`, without "linnet".
void AddTakers(const CLI::App& app, const std::string& option, std::vector<std::string>& takers) {
  if (app.get_parent() != nullptr && Takes(app, option)) {
    const std::string name = FullName(app);
    takers.push_back(name.substr(name.find(' ') + 1));
  }
  for (const CLI::App* command : CommandsOf(app)) AddTakers(*command, option, takers);
}

bool IsOption(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && (word[1] < '0' || word[1] > '9') && word[1] != '.';
}

std::string UnknownOption(const CLI::App& root, const CLI::App& command, const std::string& word) {
  constexpr size_t kNamed = 4;  // most commands in a message
  const std::string option = word.substr(0, word.find('='));
  std::string message = "unknown option " + option;
  std::vector<std::string> takers;
  AddTakers(root, option, takers);
  if (&command == &root && !takers.empty()) {
    return message + " before the command; options come after it";
  }
  std::vector<std::string> names;
  for (const CLI::Option* known : command.get_options()) {
    if (!IsShown(*known)) continue;
    for (const std::string& name : known->get_lnames()) names.push_back(name);
  }
  const size_t dashes = std::min(option.find_first_not_of('-'), option.size());
  if (const auto near = NearestWord(std::string_view(option).substr(dashes), names)) {
    return fmt::format("{}; did you mean --{}?", message, *near);
  }
  if (!takers.empty() && takers.size() <= kNamed) {
    message += fmt::format(", which is of {}", fmt::join(takers, " and "));
  }
  return message;
}

// The first word that none of the given commands accepts.
std::optional<std::string> UnknownWord(const std::vector<const CLI::App*>& path) {
  for (const CLI::App* command : path) {
    for (const std::string& word : command->remaining()) {
      if (IsOption(word)) return UnknownOption(*path.front(), *command, word);
    }
  }
  for (const CLI::App* command : path) {
    const auto words = command->remaining();
    if (!words.empty()) return fmt::format("'{}' is one argument too many", words.front());
  }
  return std::nullopt;
}

std::optional<std::string> GivenTwice(const std::vector<const CLI::App*>& path) {
  for (const CLI::App* command : path) {
    for (const CLI::Option* option : command->get_options()) {
      const auto most = static_cast<size_t>(std::max(0, option->get_items_expected_max()));
      const size_t count = option->count();
      if (most != 1 || count < 2) continue;
      return count == 2 ? fmt::format("{}: given twice", option->get_name())
                        : fmt::format("{}: given {} times", option->get_name(), count);
    }
  }
  return std::nullopt;
}

bool EndsIn(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

std::optional<std::string> NearestWord(std::string_view word,
                                       const std::vector<std::string>& names) {
  const auto nearest = std::min_element(
      names.begin(), names.end(),
      [&](const auto& a, const auto& b) { return Distance(word, a) < Distance(word, b); });
  if (nearest == names.end() || 2 * Distance(word, *nearest) > word.size()) return std::nullopt;
  return *nearest;
}

std::string ValueMessage(const CLI::App& command, const CLI::ParseError& error) {
  const std::string text = error.what();
  constexpr std::string_view kConvert = "Could not convert: ";
  const size_t equals = text.find(" = ");
  if (Is(error, CLI::ExitCodes::ConversionError) && text.rfind(kConvert, 0) == 0 &&
      equals != text.npos) {
    const std::string option = text.substr(kConvert.size(), equals - kConvert.size());
    const CLI::Option* found = command.get_option_no_throw(option);
    const bool real = found != nullptr && found->get_type_name().rfind("FLOAT", 0) == 0;
    return fmt::format("{}: '{}' is not a {}number", option, text.substr(equals + 3),
                       real ? "" : "whole ");
  }
  const size_t colon = text.find(": ");
  if (Is(error, CLI::ExitCodes::ArgumentMismatch) && EndsIn(text, " missing") &&
      colon != text.npos) {
    return text.substr(0, colon) + ": a value is missing";
  }
  if (Is(error, CLI::ExitCodes::RequiredError) && text == "A subcommand is required") {
    std::vector<std::string> names;
    for (const CLI::App* known : CommandsOf(command)) names.push_back(known->get_name());
    return fmt::format("a command is missing, expected one of {}", fmt::join(names, ", "));
  }
  constexpr std::string_view kExcludes = " excludes ";
  const size_t excludes = text.find(kExcludes);
  if (Is(error, CLI::ExitCodes::ExcludesError) && excludes != text.npos) {
    return fmt::format("give either {} or {}, not both", text.substr(excludes + kExcludes.size()),
                       text.substr(0, excludes));
  }
  return text;
}

std::string HelpFormatter::make_group(std::string group, bool is_positional,
                                      std::vector<const CLI::Option*> options) const {
  if (group == kUnheeded) return "";
  return CLI::Formatter::make_group(std::move(group), is_positional, std::move(options));
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  std::string help = CLI::Formatter::make_help(app, std::move(name), mode);
  for (size_t at = 0; (at = help.find("\n\n\n", at)) != help.npos;) help.erase(at, 1);
  return help;
}

void CheckCommand(const CLI::App& app, std::span<char* const> words) {
  if (words.empty() || words[0][0] == '-') return;
  const std::string_view word = words[0];
  std::vector<std::string> names;
  for (const CLI::App* command : CommandsOf(app)) {
    const std::string& name = command->get_name();
    if (name == word) {
      if (command->get_require_subcommand_min() > 0) CheckCommand(*command, words.subspan(1));
      return;
    }
    names.push_back(name);
  }
  const auto near = NearestWord(word, names);
  throw NoCommand(app, fmt::format("'{}' is not a command{}", word,
                                   near ? fmt::format("; did you mean {}?", *near) : ""));
}

std::string UsageMessage(const CLI::App& app, const CLI::ParseError& error) {
  constexpr const char* kMessage = "{} (see {} --help)";
  if (const auto* none = dynamic_cast<const NoCommand*>(&error)) {
    return fmt::format(kMessage, none->what(), FullName(none->at()));
  }
  const auto path = Reached(app);
  std::optional<std::string> message;
  if (Is(error, CLI::ExitCodes::RequiredError) || Is(error, CLI::ExitCodes::ExtrasError)) {
    message = UnknownWord(path);
  } else if (Is(error, CLI::ExitCodes::ArgumentMismatch)) {
    message = GivenTwice(path);
  }
  return fmt::format(kMessage, message ? *message : ValueMessage(*path.back(), error),
                     FullName(*path.back()));
}

}  // namespace linnet::cli
