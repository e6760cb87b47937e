#include "cli/speculation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/model.h"
#include "linnet/error.h"

namespace linnet::cli {

void AddSpeculationOptions(CLI::App& command, SpeculationFlags& flags) {
  const auto check = [](const std::string& value) {
    if (value == "off" || value == "auto") return std::string();
    const bool number =
        !value.empty() && value.size() < 3 &&
        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (number && std::stoul(value) <= Speculation::kMostGuesses) return std::string();
    return fmt::format("'{}' is not off, auto or a number up to {}", value,
                       Speculation::kMostGuesses);
  };
  command
      .add_option("--speculate", flags.guesses,
                  "Guess tokens and check several in a pass, for the same text in less time: off, "
                  "auto (as many as pay) or a number")
      ->type_name("off|auto|N")
      ->check(CLI::Validator(check, "", "speculate"))
      ->capture_default_str();
  command
      .add_option("--draft", flags.draft,
                  "A smaller model of the same vocabulary that guesses where the text does not")
      ->type_name("MODEL");
}

SpeculationOptions SpeculationFor(const CommonOptions& common, const SpeculationFlags& flags,
                                  const Model& model) {
  SpeculationOptions options;
  if (flags.guesses == "off") return options;
  options.most = flags.guesses == "auto" ? SpeculationOptions::kAuto : std::stoul(flags.guesses);
  if (flags.draft.empty()) return options;
  CommonOptions plain = common;
  plain.adapters.clear();
  const auto draft = std::make_shared<const Model>(OpenModel(plain, flags.draft));
  if (draft->config().vocab != model.config().vocab) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: guesses tokens of {}, but {} has a vocabulary of {}, expected the "
                            "same one",
                            draft->path().string(), draft->config().vocab, model.path().string(),
                            model.config().vocab));
  }
  options.draft = draft;
  return options;
}

}  // namespace linnet::cli
