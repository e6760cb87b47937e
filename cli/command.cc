// The command line of `linnet`: maps the errors of the subcommands to exit codes.
#include "cli/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include "cli/cli.h"
#include "cli/pulled.h"
#include "cli/usage.h"
#include "linnet/error.h"
#include "linnet/linnet.h"

namespace linnet::cli {
namespace {

// A file name may contain a line break, but an error must be one line.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) line += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return line;
}

void Complain(std::string_view message) { Say(fmt::format("linnet: {}\n", OneLine(message))); }

// CLI11 would read a negative count as a very large one. All numbers must be finite, also as
// float.
void RefuseOddNumbers(CLI::App& app) {
  const CLI::Validator positive(
      [](const std::string& word) {
        return word[0] == '-' ? fmt::format("'{}' is negative, expected 0 or more", word)
                              : std::string();
      },
      "");
  const CLI::Validator finite(
      [](const std::string& word) {
        return std::isfinite(std::strtof(word.c_str(), nullptr))
                   ? std::string()
                   : fmt::format("'{}' is not finite, expected a number", word);
      },
      "");
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (type.rfind("UINT", 0) == 0 || type == "N") option->check(positive);
    if (type.rfind("FLOAT", 0) == 0) option->check(finite);
  }
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    RefuseOddNumbers(*command);
  }
}

}  // namespace

int RunCommand(int argc, char** argv, std::span<const AddsCommand> commands) {
  OpenStreams();
  HandleInterrupts();
  CLI::App app(
      "Runs, trains and measures RWKV language models of all generations, directly from their "
      "checkpoints.",
      "linnet");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", fmt::format("linnet {}", linnet_version()));
  app.require_subcommand(1);
  app.footer("`linnet COMMAND --help` shows its options and an example.");
  for (const AddsCommand add : commands) add(app);
  RefuseOddNumbers(app);
  AcceptPulledNames(app);
  try {
    CheckCommand(app, std::span(argv, static_cast<size_t>(argc)).subspan(argc > 0 ? 1 : 0));
    app.parse(argc, argv);
    FlushOutput();
    return kDone;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version
    Complain(UsageMessage(app, error));
    return kWrongUsage;
  } catch (const Interruption&) {
    return kInterrupted;
  } catch (const std::bad_alloc&) {
    Complain("out of memory");
    return kFailed;
  } catch (const std::exception& error) {
    Complain(MessageOf(error));
    return kFailed;
  }
}

}  // namespace linnet::cli
