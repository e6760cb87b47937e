// Error messages for a wrong command line, one line each.
#ifndef LINNET_CLI_USAGE_H_
#define LINNET_CLI_USAGE_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::cli {

// The group of options that a command accepts and ignores.
inline constexpr const char* kUnheeded = "Unheeded";

// Hides that group in the help.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override;
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
};

// Throws CLI::ParseError if the first of `words` should be a command of `app` but is not. The
// parser itself only reports that a command is missing.
void CheckCommand(const CLI::App& app, std::span<char* const> words);

// The nearest of `names`, if it is similar enough to be a suggestion.
std::optional<std::string> NearestWord(std::string_view word,
                                       const std::vector<std::string>& names);

// The parser's message about a value of an option of `command`, rephrased like the program's other
// messages.
std::string ValueMessage(const CLI::App& command, const CLI::ParseError& error);

// The message for `error`, which parsing or running `app` threw. It names the wrong option or
// argument, and the --help to read. The parser's own messages often name another cause, such as a
// missing argument instead of an unknown option.
std::string UsageMessage(const CLI::App& app, const CLI::ParseError& error);

}  // namespace linnet::cli

#endif  // LINNET_CLI_USAGE_H_
