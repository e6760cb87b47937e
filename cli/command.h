// The program as a function: what main() and the Python extension call.
#ifndef LINNET_CLI_COMMAND_H_
#define LINNET_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <span>

namespace linnet::cli {

// Adds one subcommand, such as AddChat of cli.h.
using AddsCommand = void (*)(CLI::App& app);

// Every subcommand of `linnet`, in the order of --help.
std::span<const AddsCommand> AllCommands();

// Runs `linnet` with these arguments, the first of which is the program's name, and returns its
// exit code. Changes the process's signal handlers.
int RunCommand(int argc, char** argv, std::span<const AddsCommand> commands);

}  // namespace linnet::cli

#endif  // LINNET_CLI_COMMAND_H_
