// JSON schemas as rules.
#ifndef LINNET_GRAMMAR_JSON_SCHEMA_H_
#define LINNET_GRAMMAR_JSON_SCHEMA_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "grammar/rules.h"

namespace linnet {

// Adds the schema to `rules` and returns the rule of its values. All that it matches validates, by
// any draft that knows the keywords; not all that validates is matched: docs/grammars.md. Throws
// Error kBadInput "name: #/path: …".
uint32_t ReadJsonSchema(std::string_view schema, const std::string& name, Rules& rules);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_JSON_SCHEMA_H_
