// SchemaFacts: what several JSON schemas that hold at once say, keyword by keyword.
#ifndef LINNET_GRAMMAR_SCHEMA_FACTS_H_
#define LINNET_GRAMMAR_SCHEMA_FACTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/json_numbers.h"
#include "grammar/schema_document.h"

namespace linnet {

// Types of JSON values. A number is an integer or has a fraction.
namespace json_type {
inline constexpr uint8_t kNull = 1, kBoolean = 2, kObject = 4, kArray = 8, kString = 16,
                         kInteger = 32, kFraction = 64, kNumber = kInteger | kFraction, kAll = 127;
}  // namespace json_type

// A value. Points into the document.
struct SchemaFacts {
  using Json = nlohmann::ordered_json;
  static constexpr uint32_t kNoLimit = ~uint32_t{0};

  bool never = false;  // no value satisfies them
  uint8_t types = json_type::kAll;
  const Json* values = nullptr;   // an array, one of which it must be
  std::optional<Json> one_value;  // a constant; it must be this

  // Each list of properties and items holds all schemas for it. Properties are in the order of the
  // schemas.
  std::vector<std::pair<std::string, SchemaList>> properties;  // required ones too
  std::set<std::string, std::less<>> names, required;          // names: of those
  // Patterns of names, with what the values of matching properties must be.
  std::vector<std::pair<std::string, SchemaList>> patterns_of_names;
  std::optional<SchemaList> additional;  // other properties; nothing: no schema says it
  uint32_t min_properties = 0, max_properties = kNoLimit;

  std::vector<SchemaList> first_items;
  std::optional<SchemaList> items;  // after those
  uint32_t min_items = 0, max_items = kNoLimit;
  bool unique = false;

  uint32_t min_length = 0, max_length = kNoLimit;
  std::vector<std::string> patterns, formats;

  NumberBounds bounds;

  // Keywords that are not supported, the schemas that they are in, and the types they are about.
  struct Refused {
    std::string keyword;
    const Json* schema;
    uint8_t types;
  };
  std::vector<Refused> refused;

  SchemaList Item(size_t index) const;
};

// The schemas without those that are references, true, or only say that others hold too. They stay
// in order, each once. Contains SchemaDocument::False() if no value satisfies them.
SchemaList Expanded(const SchemaList& schemas, const SchemaDocument& document);

// What they say about a property: all that it must satisfy. They are expanded.
SchemaList PropertyOf(const SchemaList& schemas, const std::string& name,
                      const SchemaDocument& document);

// Of schemas that are expanded. anyOf and oneOf are not among the facts. Throws Error kBadInput for
// what is not a schema.
SchemaFacts FactsOf(const SchemaList& schemas, const SchemaDocument& document);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_SCHEMA_FACTS_H_
