#include "cli/command_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "cli/usage.h"

namespace linnet::cli {
namespace {

// The choices in "TEXT:{text,json}", which is how the parser describes them.
std::vector<std::string> ChoicesIn(std::string_view type) {
  const size_t open = type.find(":{"), close = type.rfind('}');
  std::vector<std::string> choices;
  if (open == type.npos || close == type.npos || close < open) return choices;
  std::string_view list = type.substr(open + 2, close - open - 2);
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    choices.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return choices;
}

OptionFacts FactsOfOption(const CLI::Option& option) {
  OptionFacts facts;
  const std::string type = option.get_type_name();
  facts.argument = option.get_positional();
  if (facts.argument) {
    facts.names = {option.get_name()};
  } else {
    for (const std::string& name : option.get_lnames()) facts.names.push_back("--" + name);
    for (const std::string& name : option.get_snames()) facts.names.push_back("-" + name);
  }
  const bool flag = option.get_items_expected_max() == 0;
  if (!flag) facts.value = type.substr(0, type.find(':'));
  facts.description = option.get_description();
  facts.default_value = option.get_default_str();
  facts.choices = ChoicesIn(type);
  facts.required = option.get_required();
  facts.many = option.get_items_expected_max() > 1;
  return facts;
}

CommandFacts FactsBelow(const CLI::App& app, std::vector<std::string> above) {
  CommandFacts facts;
  facts.path = std::move(above);
  facts.path.push_back(app.get_name());
  facts.description = app.get_description();
  facts.example = app.get_footer();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group() != kUnheeded) facts.options.push_back(FactsOfOption(*option));
  }
  std::stable_partition(facts.options.begin(), facts.options.end(),
                        [](const OptionFacts& option) { return option.argument; });
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    facts.commands.push_back(FactsBelow(*command, facts.path));
  }
  return facts;
}

}  // namespace

std::string CommandFacts::name() const { return fmt::format("{}", fmt::join(path, " ")); }

CommandFacts FactsOfCommand(const CLI::App& app) { return FactsBelow(app, {}); }

}  // namespace linnet::cli
