// The readers of GBNF and of Ai00's BNF.
#ifndef LINNET_GRAMMAR_SYNTAXES_H_
#define LINNET_GRAMMAR_SYNTAXES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "grammar/rules.h"

namespace linnet {

// Both add the grammar to `rules` and return its first rule. They throw Error kBadInput
// "name:line:column: …". docs/grammars.md says what they read.
uint32_t ReadGbnf(std::string_view text, const std::string& name, Rules& rules);
uint32_t ReadAi00Bnf(std::string_view text, const std::string& name, std::string_view start,
                     Rules& rules);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_SYNTAXES_H_
