// JSON strings with patterns, lengths and formats, as expressions.
#ifndef LINNET_GRAMMAR_JSON_STRINGS_H_
#define LINNET_GRAMMAR_JSON_STRINGS_H_

#include <string_view>

#include "grammar/json_text.h"
#include "grammar/rules.h"
#include "grammar/schema_facts.h"

namespace linnet {

// The strings that satisfy the facts. Throws Error kBadInput if a pattern or a format is not
// supported, or if what must hold at once needs too many states.
Rules::Id AddString(const SchemaFacts& facts, JsonText& json);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_JSON_STRINGS_H_
