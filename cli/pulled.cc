#include "cli/pulled.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "download/pulled_models.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/builtin_model.h"

namespace linnet::cli {
namespace {

// Options and arguments that are a model in all commands, and arguments that are one in some.
constexpr std::array<std::string_view, 8> kModelNames = {
    "MODEL", "MODEL_AND_FILES", "MODEL_IN_OUT", "BASE", "--model", "--base", "--draft", "--vocab"};
struct ModelArgument {
  std::string_view command, name;
};
constexpr std::array<ModelArgument, 3> kModelArguments = {
    {{"convert", "IN"}, {"quantize", "IN"}, {"inspect", "FILE"}}};

bool TakesModel(const std::string& command, const std::string& option) {
  return std::find(kModelNames.begin(), kModelNames.end(), option) != kModelNames.end() ||
         std::any_of(kModelArguments.begin(), kModelArguments.end(), [&](const auto& argument) {
           return argument.command == command && argument.name == option;
         });
}

}  // namespace

std::string PathOfModel(const std::string& name) {
  std::error_code ignored;
  if (name.empty() || name == kBuiltInName || std::filesystem::exists(name, ignored)) return name;
  const auto found = FindPulled(PulledModelsFolder(), name);
  return found ? found->path.string() : name;
}

void AcceptPulledNames(CLI::App& app) {
  const CLI::Validator to_path(
      [](std::string& name) {
        try {
          name = PathOfModel(name);
          return std::string();
        } catch (const Error& error) {
          return std::string(error.what());
        }
      },
      "");
  for (CLI::Option* option : app.get_options()) {
    if (TakesModel(app.get_name(), option->get_name())) option->transform(to_path);
  }
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    AcceptPulledNames(*command);
  }
}

}  // namespace linnet::cli
