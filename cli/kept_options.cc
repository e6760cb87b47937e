#include "cli/kept_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/atomic_file.h"
#include "cli/model.h"
#include "cli/texts.h"
#include "cli/train.h"
#include "io/model_folder.h"
#include "linnet/error.h"
#include "linnet/model.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

// Whether an option belongs to the run, not to a single call.
bool IsKept(const CLI::Option& option) {
  constexpr std::string_view kOfTheCall[] = {"--resume", "--out",   "--help",  "--threads",
                                             "--json",   "--exact", "--force", "--expert-memory"};
  return std::find(std::begin(kOfTheCall), std::end(kOfTheCall), option.get_name()) ==
         std::end(kOfTheCall);
}

// Whether changing the option would make it a different run or change the order of its data.
bool IsFixed(const std::string& option) {
  constexpr std::string_view kFixed[] = {
      "--base",    "--generation", "--layers", "--width", "--head-size", "--ffn",
      "--ranks",   "--data",       "--ctx",    "--seed",  "--sampling",  "--quant",
      "--adapter", "--rank",       "--alpha",  "--tune",  "--targets",   "--freeze"};
  return std::find(std::begin(kFixed), std::end(kFixed), option) != std::end(kFixed);
}

// The absolute path of a file, because --resume may be called from another folder. A folder as base
// becomes the file in it, because the folder of a run means another file when that run continues.
std::string PlaceOf(const std::string& option, const std::string& word) {
  if (word == kBuiltInName && (option == "--base" || option == "--vocab")) return word;
  std::error_code error;
  const bool folder = option == "--base" && fs::is_directory(word, error);
  return fs::absolute(folder ? ModelIn(word) : fs::path(word)).string();
}

bool NamesFiles(const std::string& option) {
  return option == "--data" || option == "--base" || option == "--vocab" || option == "--valid";
}

constexpr const char *kBaseKey = "base_hash", *kDataKey = "data_hash";

fs::path OptionsPath(const fs::path& run) { return run / "run.json"; }

Error Damaged(const fs::path& path, const std::string& found) {
  return Error(ErrorKind::kBadInput, fmt::format("{}: is damaged: {}", path.string(), found));
}

// The arguments of an option: {"--steps": ["12"]}.
std::vector<std::string> WordsOf(const nlohmann::json& values, const std::string& option,
                                 const fs::path& path) {
  std::vector<std::string> words;
  bool good = values.is_array() && !values.empty();
  for (const auto& value : values) {
    good = good && value.is_string();
    if (good) words.push_back(value.get<std::string>());
  }
  if (good) return words;
  throw Damaged(path, fmt::format("{} is {}, expected a list of texts such as [\"12\"]", option,
                                  values.dump(-1, ' ', true).substr(0, 40)));
}

}  // namespace

KeptOptions KeptOptions::Read(const fs::path& run) {
  KeptOptions kept;
  kept.path_ = OptionsPath(run);
  if (!fs::exists(kept.path_)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: holds no run to resume, expected its run.json", run.string()));
  }
  const auto json = nlohmann::json::parse(ReadText(kept.path_.string()), nullptr, false);
  if (!json.is_object() || !json.contains("options") || !json["options"].is_object()) {
    throw Damaged(kept.path_, "expected {\"options\": {}}");
  }
  for (const auto& [name, values] : json["options"].items()) {
    kept.options_[name] = WordsOf(values, name, kept.path_);
  }
  for (auto [key, hash] :
       {std::pair(kBaseKey, &kept.sources_.base), {kDataKey, &kept.sources_.data}}) {
    const auto it = json.find(key);
    if (it != json.end() && it->is_string()) *hash = it->get<std::string>();
  }
  return kept;
}

KeptOptions KeptOptions::Of(const CLI::App& command, const RunSources& sources) {
  KeptOptions kept;
  kept.sources_ = sources;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || !IsKept(*option)) continue;
    auto& words = kept.options_[option->get_name()] = option->results();
    if (!NamesFiles(option->get_name())) continue;
    for (std::string& word : words) {
      if (word != "-") word = PlaceOf(option->get_name(), word);  // stdin
    }
  }
  return kept;
}

// Checks an option that is given in the call.
void KeptOptions::RefuseAnother(const CLI::Option& option) const {
  const std::string name = option.get_name();
  std::vector<std::string> now = option.results(), then;
  const auto kept = options_.find(name);
  if (kept != options_.end()) {
    then = kept->second;
  } else if (name == "--sampling") {
    then = {UsualSampling(options_.contains("--base"))};
  } else if (!option.get_default_str().empty()) {
    then = {option.get_default_str()};
  }
  if (NamesFiles(name) && !then.empty()) {
    // Compared by content, if the run has their hashes (CheckSources).
    if (!(name == "--base" ? sources_.base : sources_.data).empty()) return;
    now = {PlaceOf(name, now.front())};
    then = {PlaceOf(name, then.front())};
  }
  if (now == then) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{} {}: the run in {} began {}, and this would make it another; begin a "
                          "new run in another folder",
                          name, fmt::join(now, " "), path_.parent_path().string(),
                          then.empty() ? "without it"
                                       : fmt::format("with {} {}", name, fmt::join(then, " "))));
}

void KeptOptions::CheckSources(const CLI::App& command, const RunSources& now) const {
  for (const auto& [name, then, hash] :
       {std::tuple("--base", sources_.base, now.base), {"--data", sources_.data, now.data}}) {
    const CLI::Option* option = command.get_option(name);
    if (then.empty() || then == hash || option->count() == 0) continue;
    throw Error(ErrorKind::kBadInput,
                fmt::format("{} {}: is not what the run in {} began with; begin a new run in "
                            "another folder",
                            name, option->results().front(), path_.parent_path().string()));
  }
}

void KeptOptions::Recall(CLI::App& command) const {
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0 && IsFixed(option->get_name())) RefuseAnother(*option);
  }
  for (const auto& [name, words] : options_) {
    CLI::Option* option = command.get_option_no_throw(name);
    if (option == nullptr) throw Damaged(path_, name + " is not an option of this version");
    if (option->count() > 0 || !IsKept(*option)) continue;
    const auto others = option->get_excludes();  // such as --steps, if this call gives --tokens
    if (std::any_of(others.begin(), others.end(), [](auto* o) { return o->count() > 0; })) continue;
    try {
      for (const std::string& word : words) option->add_result(word);
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      throw Damaged(path_, error.what());
    }
  }
}

uint64_t KeptOptions::Number(const CLI::App& command, const std::string& option) const {
  const auto it = options_.find(option);
  const std::string text = it != options_.end() && !it->second.empty()
                               ? it->second.front()
                               : command.get_option(option)->get_default_str();
  uint64_t number = 0;
  if (CLI::detail::lexical_cast(text, number)) return number;
  throw Damaged(path_, fmt::format("{} is '{}', expected a number", option, text.substr(0, 40)));
}

void KeptOptions::Write(const fs::path& run) const {
  AtomicFile file(OptionsPath(run));
  const nlohmann::ordered_json json = {
      {"options", options_}, {kBaseKey, sources_.base}, {kDataKey, sources_.data}};
  file.Write(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  file.Commit();
}

void KeptOptions::Remove(const fs::path& run) {
  std::error_code none;
  fs::remove(OptionsPath(run), none);
}

}  // namespace linnet::cli
