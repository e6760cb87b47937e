// Regular expressions, and texts that they allow.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz_target.h"
#include "grammar/grammar.h"
#include "linnet/error.h"
#include "walk_grammar.h"

LINNET_FUZZ_TARGET(regex) {
  using namespace linnet;  // NOLINT
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    std::string text;
    WalkGrammar(Grammar::FromRegex(input), input, text);
  } catch (const Error&) {
  }
}
