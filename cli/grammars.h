// Options of generate and chat that say what a text must match.
#ifndef LINNET_CLI_GRAMMARS_H_
#define LINNET_CLI_GRAMMARS_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "grammar/grammar.h"

namespace linnet::cli {

struct GrammarFlags {
  std::string grammar, json_schema;  // files
  std::string regex;
};

// Adds --grammar, --json-schema and --regex, of which one may be given. `flags` must outlive the
// command's run.
void AddGrammarOptions(CLI::App& command, GrammarFlags& flags);

// Null if no option was given. Throws Error kIo or kBadInput that names the file and the place.
std::shared_ptr<const Grammar> GrammarOf(const GrammarFlags& flags);

}  // namespace linnet::cli

#endif  // LINNET_CLI_GRAMMARS_H_
