// linnet manual, linnet completions: written by the program itself when it is installed.
#include "cli/manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "cli/cli.h"
#include "linnet/linnet.h"

namespace linnet::cli {
namespace {

// Text for roff: no line is a request, and dashes are those that one types.
std::string Roff(std::string_view text) {
  std::string out;
  bool at_start = true;
  for (const char c : text) {
    if (at_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    at_start = c == '\n';
  }
  return out;
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return text;
}

// "linnet-vocab-train", as the page's file.
std::string PageName(const CommandFacts& command) {
  return fmt::format("{}", fmt::join(command.path, "-"));
}

std::string OptionText(const OptionFacts& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) names.push_back("\\fB" + Roff(name) + "\\fR");
  std::string head = fmt::format("{}", fmt::join(names, ", "));
  if (!option.argument && !option.value.empty()) head += " \\fI" + Roff(option.value) + "\\fR";
  std::string text = option.description;
  if (!option.choices.empty()) {
    text += fmt::format("{}one of {}", text.empty() ? "" : "; ", fmt::join(option.choices, ", "));
  }
  if (!option.default_value.empty()) {
    text += fmt::format("{}default: {}", text.empty() ? "" : "; ", option.default_value);
  }
  return ".TP\n" + head + "\n" + Roff(text) + "\n";
}

std::string Synopsis(const CommandFacts& command) {
  std::string line = "\\fB" + Roff(command.name()) + "\\fR";
  if (!command.commands.empty()) line += " \\fICOMMAND\\fR";
  for (const OptionFacts& option : command.options) {
    if (!option.argument) continue;
    const std::string name = "\\fI" + Roff(option.names.front()) + "\\fR";
    line += " " + (option.required ? name : "[" + name + "]") + (option.many ? "..." : "");
  }
  return line + " [\\fIOPTION\\fR...]\n";
}

// The commands that can be called, at and below `command`.
void AddAll(const CommandFacts& command, std::vector<const CommandFacts*>& all) {
  all.push_back(&command);
  for (const CommandFacts& below : command.commands) AddAll(below, all);
}

const CommandFacts* FindCommand(const CommandFacts& program,
                                const std::vector<std::string>& words) {
  const CommandFacts* at = &program;
  for (const std::string& word : words) {
    const auto found =
        std::find_if(at->commands.begin(), at->commands.end(),
                     [&](const CommandFacts& command) { return command.path.back() == word; });
    if (found == at->commands.end()) return nullptr;
    at = &*found;
  }
  return at;
}

struct ManualFlags {
  CommonOptions common;
  std::vector<std::string> words;
  std::string folder;
};

void RunManual(const ManualFlags& o, const CommandFacts& program) {
  if (!o.folder.empty()) {
    std::vector<const CommandFacts*> all;
    AddAll(program, all);
    for (const CommandFacts* command : all) {
      AtomicFile file(std::filesystem::path(o.folder) / (PageName(*command) + ".1"));
      file.Write(ManualPage(*command));
      file.Commit();
    }
    return;
  }
  const CommandFacts* const command = FindCommand(program, o.words);
  if (command == nullptr) {
    throw CLI::ValidationError("COMMAND",
                               fmt::format("'{}' is not a command", fmt::join(o.words, " ")));
  }
  Print(ManualPage(*command));
}

}  // namespace

std::string ManualPage(const CommandFacts& command) {
  std::string page = fmt::format(".TH {} 1 \"\" \"linnet {}\" \"Linnet\"\n",
                                 Upper(PageName(command)), linnet_version());
  page += fmt::format(".SH NAME\n{} \\- {}\n", Roff(PageName(command)), Roff(command.description));
  page += ".SH SYNOPSIS\n" + Synopsis(command);
  if (!command.commands.empty()) {
    page += ".SH COMMANDS\n";
    for (const CommandFacts& below : command.commands) {
      page +=
          fmt::format(".TP\n\\fB{}\\fR(1)\n{}\n", Roff(PageName(below)), Roff(below.description));
    }
  }
  page += ".SH OPTIONS\n";
  for (const OptionFacts& option : command.options) page += OptionText(option);
  if (!command.example.empty()) {
    page += ".SH EXAMPLE\n.nf\n" + Roff(command.example) + "\n.fi\n";
  }
  page += ".SH EXIT STATUS\n0: done. 1: bad input or failure. 2: wrong usage. 130: interrupted.\n";
  if (command.path.size() > 1) page += ".SH SEE ALSO\n\\fBlinnet\\fR(1)\n";
  return page;
}

void AddManual(CLI::App& app) {
  const auto o = std::make_shared<ManualFlags>();
  CLI::App* command = AddCommand(
      app, "manual", "Print the manual page of a command", "linnet manual serve | man -l -",
      o->common, [o, &app] { RunManual(*o, FactsOfCommand(app)); }, 0);
  command->add_option("COMMAND", o->words, "A command, with its subcommand; default: linnet")
      ->expected(0, 2);
  command->add_option("--all", o->folder, "Write the pages of all commands there, as NAME.1")
      ->type_name("FOLDER");
}

void AddCompletions(CLI::App& app) {
  struct CompletionFlags {
    CommonOptions common;
    std::string shell;
  };
  const auto o = std::make_shared<CompletionFlags>();
  CLI::App* command = AddCommand(
      app, "completions", "Print the completions for a shell", "source <(linnet completions bash)",
      o->common,
      [o, &app] {
        const CommandFacts program = FactsOfCommand(app);
        Print(o->shell == "bash"  ? BashCompletion(program)
              : o->shell == "zsh" ? ZshCompletion(program)
                                  : FishCompletion(program));
      },
      0);
  command->add_option("SHELL", o->shell, "The shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace linnet::cli
