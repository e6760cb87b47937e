// JSON schemas: what they allow parses, and validates as far as our own checker knows.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "fuzz_target.h"
#include "grammar/grammar.h"
#include "grammar/schema_check.h"
#include "linnet/error.h"
#include "walk_grammar.h"

LINNET_FUZZ_TARGET(json_schema) {
  using namespace linnet;  // NOLINT
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string name = "input";
  try {
    std::string text;
    if (!WalkGrammar(Grammar::FromJsonSchema(input, name), input, text)) return;
    LINNET_CHECK(nlohmann::ordered_json::accept(text));
    if (input.find("nullable") != input.npos) return;  // allows null, against the drafts
    const SchemaDocument document(input, name);
    LINNET_CHECK(CheckValue({document.root()}, nlohmann::ordered_json::parse(text), document) !=
                 Verdict::kNo);
  } catch (const Error&) {
  }
}
