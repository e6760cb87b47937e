// Options in a TOML file: `port = 8080`.
#ifndef LINNET_CLI_OPTION_FILE_H_
#define LINNET_CLI_OPTION_FILE_H_

#include <CLI/CLI.hpp>

namespace linnet::cli {

// Adds --config FILE to a command. AddCommand reads the file when the command line was parsed.
void AddOptionFile(CLI::App& command);

// If `command` has --config and it is given: sets the options that the command line does not give
// to the values in the file. A key is an option's long name without dashes, or an argument's in
// lower case; options that may be given several times take a list, flags true or false. Throws
// Error kIo if the file cannot be read, kBadInput, with file and line, for what is not TOML, a key
// that is no option, and a value that the option refuses.
void ReadOptionFile(CLI::App& command);

}  // namespace linnet::cli

#endif  // LINNET_CLI_OPTION_FILE_H_
