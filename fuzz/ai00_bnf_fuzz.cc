// Ai00's BNF, and texts that it allows.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz_target.h"
#include "grammar/grammar.h"
#include "linnet/error.h"
#include "walk_grammar.h"

LINNET_FUZZ_TARGET(ai00_bnf) {
  using namespace linnet;  // NOLINT
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    std::string text;
    WalkGrammar(Grammar::FromAi00Bnf(input), input, text);
  } catch (const Error&) {
  }
}
