// What is wrong with a command line, as one line that names it.
#ifndef LINNET_CLI_USAGE_H_
#define LINNET_CLI_USAGE_H_

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

namespace linnet::cli {

// The group of options that a command takes without heeding them.
inline constexpr const char* kUnheeded = "Unheeded";

// Leaves that group out of the help.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override;
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
};

// Throws CLI::ParseError if the first of `words` should be a command of `app` and is none: the
// parser only says that a command is missing.
void CheckCommand(const CLI::App& app, std::span<char* const> words);

// The message for `error`, which parsing or running `app` threw. It names the option or the word
// that is wrong, and the --help that lists what is right. The parser's own texts often blame
// something else: an unknown option before a missing argument, an option given twice.
std::string UsageMessage(const CLI::App& app, const CLI::ParseError& error);

}  // namespace linnet::cli

#endif  // LINNET_CLI_USAGE_H_
