// Manual pages and shell completions, made of the options' own descriptions.
#ifndef LINNET_CLI_MANUAL_H_
#define LINNET_CLI_MANUAL_H_

#include <string>

#include "cli/command_facts.h"

namespace linnet::cli {

// A page of section 1 in the macros of man(7).
std::string ManualPage(const CommandFacts& command);

std::string BashCompletion(const CommandFacts& program);
std::string ZshCompletion(const CommandFacts& program);
std::string FishCompletion(const CommandFacts& program);

}  // namespace linnet::cli

#endif  // LINNET_CLI_MANUAL_H_
