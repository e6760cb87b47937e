// Checks JSON values against schemas, for values that a schema lists.
#ifndef LINNET_GRAMMAR_SCHEMA_CHECK_H_
#define LINNET_GRAMMAR_SCHEMA_CHECK_H_

#include <cstdint>
#include <nlohmann/json.hpp>

#include "grammar/schema_document.h"

namespace linnet {

enum class Verdict : uint8_t { kNo, kUnknown, kYes };

// Whether the value satisfies all schemas; kUnknown where that depends on a keyword that is not
// supported, or on the dialect of a pattern. Throws Error kBadInput for what is not a schema.
Verdict CheckValue(const SchemaList& schemas, const nlohmann::ordered_json& value,
                   const SchemaDocument& document);

// Equality of JSON, for which the order of keys does not matter.
bool EqualValues(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_SCHEMA_CHECK_H_
