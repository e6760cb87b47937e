#include "cli/option_file.h"

#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/lower.h"
#include "cli/usage.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOption = "--config";
constexpr size_t kMostBytes = 1 << 20;

std::string ReadAll(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  const auto refuse = [&](const char* what) {
    return Error(ErrorKind::kIo, fmt::format("{}: {}", path.string(), what));
  };
  if (!fs::exists(status))
    throw refuse("no such file, expected one with options, as `port = 8080`");
  if (!fs::is_regular_file(status)) throw refuse("is no file, expected one with options");
  std::ifstream in(path, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (!in && !in.eof())) throw refuse("cannot be read");
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMostBytes) throw refuse("has over 1 MB, which no file with options has");
  return text;
}

// A key as it is written in the file: "port", "model".
std::string KeyOf(const CLI::Option& option) {
  return option.get_lnames().empty() ? Lower(option.get_name()) : option.get_lnames().front();
}

bool MayStand(const CLI::Option& option) {
  const std::string key = KeyOf(option);
  return key != "help" && key != "config" && option.get_group() != kUnheeded;
}

class OptionFile {
 public:
  OptionFile(CLI::App& command, const fs::path& path) : command_(command), path_(path) {}

  void Read() {
    toml::table table;
    try {
      table = toml::parse(ReadAll(path_));
    } catch (const toml::parse_error& error) {
      throw Refused(error.source(), std::string(error.description()));
    }
    for (const auto& [key, value] : table) {
      Set(std::string(key.str()), value, key.source());
    }
  }

 private:
  void Set(const std::string& key, const toml::node& value, const toml::source_region& place) {
    CLI::Option* option = Find(key, place);
    if (option->count() > 0) return;  // the command line has the last word
    const bool flag = option->get_items_expected_max() == 0;
    std::vector<std::string> words;
    if (const toml::array* list = value.as_array()) {
      if (option->get_items_expected_max() < 2)
        throw Refused(place, key + " takes one value, found a list");
      for (const toml::node& item : *list) words.push_back(WordOf(key, item));
    } else {
      words.push_back(WordOf(key, value));
    }
    if (flag != value.is_boolean()) {
      throw Refused(place, fmt::format("{} is '{}', expected {}", key, words.front(),
                                       flag ? "true or false" : "a value"));
    }
    if (flag && words.front() == "false") return;
    try {
      for (const std::string& word : words) option->add_result(word);
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      throw Refused(place, ValueMessage(command_, error));
    }
  }

  CLI::Option* Find(const std::string& key, const toml::source_region& place) const {
    std::vector<std::string> keys;
    for (CLI::Option* option : command_.get_options()) {
      if (!MayStand(*option)) continue;
      keys.push_back(KeyOf(*option));
      if (keys.back() == key) return option;
    }
    const auto near = NearestWord(key, keys);
    throw Refused(place, fmt::format("'{}' is no option of linnet {}{}", key.substr(0, 80),
                                     command_.get_name(),
                                     near ? fmt::format("; did you mean {}?", *near) : ""));
  }

  std::string WordOf(const std::string& key, const toml::node& value) const {
    if (const auto* text = value.as_string()) return text->get();
    if (const auto* number = value.as_integer()) return std::to_string(number->get());
    if (const auto* real = value.as_floating_point()) return fmt::format("{}", real->get());
    if (const auto* truth = value.as_boolean()) return truth->get() ? "true" : "false";
    throw Refused(value.source(),
                  fmt::format("{} is a table, a date or a list of lists, expected a "
                              "text, a number, or a list of them",
                              key));
  }

  Error Refused(const toml::source_region& place, const std::string& what) const {
    return Error(ErrorKind::kBadInput, fmt::format("{}:{}: {}", path_.string(),
                                                   static_cast<uint32_t>(place.begin.line), what));
  }

  CLI::App& command_;
  const fs::path& path_;
};

}  // namespace

void AddOptionFile(CLI::App& command) {
  command.add_option(kOption, "Take options from this TOML file: port = 8080")->type_name("FILE");
}

void ReadOptionFile(CLI::App& command) {
  const CLI::Option* const option = command.get_option_no_throw(kOption);
  if (option == nullptr || option->count() == 0) return;
  OptionFile(command, option->results().back()).Read();
}

}  // namespace linnet::cli
