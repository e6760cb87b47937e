// CommandFacts: the commands and options as data, for manuals and completions.
#ifndef LINNET_CLI_COMMAND_FACTS_H_
#define LINNET_CLI_COMMAND_FACTS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace linnet::cli {

struct OptionFacts {
  std::vector<std::string> names;  // "--port", "-p"; of an argument its one name, "MODEL"
  std::string value;               // "FILE", "UINT"; empty: it takes none
  std::string description, default_value;
  std::vector<std::string> choices;  // all that are allowed; empty: anything
  bool argument = false;             // by its place
  bool required = false, many = false;
};

struct CommandFacts {
  std::vector<std::string> path;  // "linnet", "vocab", "train"
  std::string description, example;
  std::vector<OptionFacts> options;  // arguments first; without those that are ignored
  std::vector<CommandFacts> commands;

  std::string name() const;  // "linnet vocab train"
};

// Those of `app` and all commands below it.
CommandFacts FactsOfCommand(const CLI::App& app);

}  // namespace linnet::cli

#endif  // LINNET_CLI_COMMAND_FACTS_H_
