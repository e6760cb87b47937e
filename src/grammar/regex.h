// Regular expressions, for grammars and for the patterns of JSON schemas.
#ifndef LINNET_GRAMMAR_REGEX_H_
#define LINNET_GRAMMAR_REGEX_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "grammar/rules.h"

namespace linnet {

enum class RegexPlace : uint8_t {
  kWhole,     // the regex matches the whole text
  kAnywhere,  // it matches somewhere, where ^ and $ allow it
};
// How the characters are written.
enum class Spelling : uint8_t {
  kPlain,
  kJson,  // as in a JSON string, escaped only where they must be
};

// The texts that the regex matches, by every dialect in use: docs/grammars.md says how. Throws
// Error kBadInput "name:line:column: …" for what is not supported.
Rules::Id AddRegex(std::string_view regex, const std::string& name, RegexPlace place,
                   Spelling spelling, Rules& rules);

// A character of the set.
Rules::Id AddChars(const CharSet& set, Spelling spelling, Rules& rules);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_REGEX_H_
