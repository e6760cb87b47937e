// Completion scripts. Each is a table of the commands and their options, and a few lines of its
// shell that look things up in it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

#include "cli/manual.h"

namespace linnet::cli {
namespace {

// In single quotes, for sh and fish.
std::string InQuotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c == '\n' ? ' ' : c;
    }
  }
  return out + "'";
}

std::string CommandsBelow(const CommandFacts& command) {
  std::vector<std::string> words;
  for (const CommandFacts& below : command.commands) words.push_back(below.path.back());
  return fmt::format("{}", fmt::join(words, " "));
}

std::string OptionNames(const CommandFacts& command) {
  std::vector<std::string> words;
  for (const OptionFacts& option : command.options) {
    if (!option.argument) words.insert(words.end(), option.names.begin(), option.names.end());
  }
  return fmt::format("{}", fmt::join(words, " "));
}

void AddBashCases(const CommandFacts& command, std::string& cases) {
  cases += fmt::format("    {}) commands={} options={} ;;\n", InQuotes(command.name()),
                       InQuotes(CommandsBelow(command)), InQuotes(OptionNames(command)));
  for (const CommandFacts& below : command.commands) AddBashCases(below, cases);
}

// Values of options with choices: "linnet serve --log-format") …
void AddBashValues(const CommandFacts& command, std::string& cases) {
  for (const OptionFacts& option : command.options) {
    if (option.choices.empty()) continue;
    for (const std::string& name : option.names) {
      cases += fmt::format("    {}) values={} ;;\n", InQuotes(command.name() + " " + name),
                           InQuotes(fmt::format("{}", fmt::join(option.choices, " "))));
    }
  }
  for (const CommandFacts& below : command.commands) AddBashValues(below, cases);
}

void AddFish(const CommandFacts& command, std::string& out) {
  // The condition under which a completion of this command is shown.
  std::string at;
  if (command.path.size() == 1) {
    at = "-n __fish_use_subcommand ";
  } else {
    std::string seen;
    for (size_t i = 1; i < command.path.size(); ++i) {
      seen +=
          fmt::format("{}__fish_seen_subcommand_from {}", i > 1 ? "; and " : "", command.path[i]);
    }
    at = "-n " + InQuotes(seen) + " ";
  }
  for (const CommandFacts& below : command.commands) {
    out += fmt::format("complete -c linnet -f {}-a {} -d {}\n", at, below.path.back(),
                       InQuotes(below.description));
  }
  for (const OptionFacts& option : command.options) {
    if (option.argument) continue;
    std::string names;
    for (const std::string& name : option.names) {
      names += name.starts_with("--") ? "-l " + name.substr(2) + " " : "-s " + name.substr(1) + " ";
    }
    std::string value = option.value.empty() ? "" : "-r ";
    if (!option.choices.empty()) {
      value = fmt::format("-x -a {} ", InQuotes(fmt::format("{}", fmt::join(option.choices, " "))));
    }
    out += fmt::format("complete -c linnet {}{}{}-d {}\n", at, names, value,
                       InQuotes(option.description));
  }
  for (const CommandFacts& below : command.commands) AddFish(below, out);
}

}  // namespace

std::string BashCompletion(const CommandFacts& program) {
  std::string out =
      "# Completions of linnet for bash, made by `linnet completions bash`.\n"
      "_linnet() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local path=linnet commands='' options='' values='' i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \" ${COMP_WORDS[i]} \" in *' -'*) continue ;; esac\n"
      "    case \"$path ${COMP_WORDS[i]}\" in\n";
  std::vector<std::string> paths;
  const auto add_paths = [&paths](const auto& self, const CommandFacts& command) -> void {
    if (command.path.size() > 1) paths.push_back(InQuotes(command.name()));
    for (const CommandFacts& below : command.commands) self(self, below);
  };
  add_paths(add_paths, program);
  out += fmt::format("      {}) path=\"$path ${{COMP_WORDS[i]}}\" ;;\n", fmt::join(paths, "|"));
  out +=
      "    esac\n"
      "  done\n"
      "  case \"$path\" in\n";
  AddBashCases(program, out);
  out +=
      "  esac\n"
      "  case \"$path $prev\" in\n";
  AddBashValues(program, out);
  out +=
      "  esac\n"
      "  if [[ -n $values ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$cur\")\n"
      "  elif [[ $cur == -* ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
      "  elif [[ -n $commands ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\")\n"
      "  else\n"
      "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _linnet linnet\n";
  return out;
}

std::string ZshCompletion(const CommandFacts& program) {
  // zsh runs bash's function, which knows all that there is to know.
  return "#compdef linnet\n"
         "# Completions of linnet for zsh, made by `linnet completions zsh`.\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         BashCompletion(program);
}

std::string FishCompletion(const CommandFacts& program) {
  std::string out = "# Completions of linnet for fish, made by `linnet completions fish`.\n";
  AddFish(program, out);
  return out;
}

}  // namespace linnet::cli
