// GBNF grammars, and texts that they allow.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "grammar/grammar.h"
#include "linnet/error.h"
#include "walk_grammar.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;  // NOLINT
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    std::string text;
    WalkGrammar(Grammar::FromGbnf(input, "input"), input, text);
  } catch (const Error&) {
  }
  return 0;
}
