#include "grammar/schema_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "linnet/error.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

// Other keywords are read here or elsewhere, are annotations, or have no meaning in any draft.
constexpr std::string_view kUnsupported[] = {"not",
                                             "if",
                                             "then",
                                             "else",
                                             "$dynamicRef",
                                             "$recursiveRef",
                                             "dependencies",
                                             "dependentRequired",
                                             "dependentSchemas",
                                             "propertyNames",
                                             "unevaluatedProperties",
                                             "contains",
                                             "minContains",
                                             "maxContains",
                                             "unevaluatedItems",
                                             "multipleOf",
                                             "divisibleBy",
                                             "extends",
                                             "disallow"};

// The others that say something about values; $ref and allOf are read by Expanded.
constexpr std::string_view kSupported[] = {"type",
                                           "enum",
                                           "const",
                                           "minLength",
                                           "maxLength",
                                           "pattern",
                                           "format",
                                           "minimum",
                                           "maximum",
                                           "exclusiveMinimum",
                                           "exclusiveMaximum",
                                           "minItems",
                                           "maxItems",
                                           "uniqueItems",
                                           "prefixItems",
                                           "items",
                                           "properties",
                                           "patternProperties",
                                           "additionalProperties",
                                           "required",
                                           "minProperties",
                                           "maxProperties",
                                           "anyOf",
                                           "oneOf"};

// Whether a schema says something about values, beyond what Expanded and choices make of it.
bool SaysSomething(const SchemaRef& ref) {
  static const std::set<std::string_view> keywords = [] {
    std::set<std::string_view> all(std::begin(kUnsupported), std::end(kUnsupported));
    all.insert(std::begin(kSupported), std::end(kSupported));
    return all;
  }();
  for (auto at = ref.schema->begin(); at != ref.schema->end(); ++at) {
    if (!keywords.contains(at.key())) continue;
    if (ref.any_of_done && at.key() == "anyOf") continue;
    if (ref.one_of_done && at.key() == "oneOf") continue;
    return true;
  }
  return false;
}

uint8_t TypesOf(std::string_view keyword) {
  using namespace json_type;  // NOLINT
  if (keyword == "dependencies" || keyword.starts_with("dependent") || keyword == "propertyNames" ||
      keyword == "unevaluatedProperties") {
    return kObject;
  }
  if (keyword.find("ontains") != keyword.npos || keyword == "unevaluatedItems") return kArray;
  if (keyword == "multipleOf" || keyword == "divisibleBy") return kNumber;
  return kAll;
}

// The names in {"not": {"required": [name]}}, or in a "not" of "anyOf" of such: they are forbidden.
// Nothing if there is none, or if "not" says anything else.
std::vector<std::string> ForbiddenNames(const Json& schema) {
  std::vector<std::string> names;
  const auto at = schema.find("not");
  if (at == schema.end() || !at->is_object() || at->size() != 1) return names;
  const auto add = [&names](const Json& part) {
    if (!part.is_object() || part.size() != 1 || !part.contains("required")) return false;
    const Json& required = part["required"];
    if (!required.is_array() || required.size() != 1 || !required[0].is_string()) return false;
    names.push_back(required[0].get<std::string>());
    return true;
  };
  if (at->contains("anyOf") && (*at)["anyOf"].is_array()) {
    for (const Json& part : (*at)["anyOf"]) {
      if (!add(part)) return {};
    }
  } else {
    add(*at);
  }
  return names;
}

uint8_t TypeByName(std::string_view name) {
  using namespace json_type;  // NOLINT
  if (name == "null") return kNull;
  if (name == "boolean") return kBoolean;
  if (name == "object") return kObject;
  if (name == "array") return kArray;
  if (name == "string") return kString;
  if (name == "integer") return kInteger;
  if (name == "number") return kNumber;
  if (name == "any") return kAll;
  return 0;
}

void AddUnlessThere(const SchemaRef& ref, SchemaList& list) {
  if (std::find(list.begin(), list.end(), ref) == list.end()) list.push_back(ref);
}

// Adds one schema to the facts.
class FactsReader {
 public:
  FactsReader(const SchemaRef& ref, const SchemaDocument& document, SchemaFacts& facts)
      : ref_(ref), schema_(*ref.schema), document_(document), facts_(facts) {}

  void Read() {
    ReadTypes();
    ReadValues();
    ReadStrings();
    ReadNumbers();
    ReadArrays();
    ReadObjects();
    ReadRefused();
  }

 private:
  const Json* Find(const char* key) const {
    const auto at = schema_.find(key);
    return at == schema_.end() ? nullptr : &*at;
  }

  [[noreturn]] void Fail(const char* key, const std::string& what) const {
    document_.FailAt(schema_, key, what);
  }

  std::optional<uint32_t> Count(const char* key) const {
    const Json* const value = Find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number() || value->get<double>() < 0 ||
        std::floor(value->get<double>()) != value->get<double>()) {
      Fail(key, "expected a number that is not negative");
    }
    constexpr double kLargest = 1e9;
    return static_cast<uint32_t>(std::min(value->get<double>(), kLargest));
  }

  void Limit(const char* least_key, const char* most_key, uint32_t& least, uint32_t& most) const {
    if (const auto count = Count(least_key)) least = std::max(least, *count);
    if (const auto count = Count(most_key)) most = std::min(most, *count);
  }

  void ReadTypes() {
    const Json* const type = Find("type");
    if (type == nullptr) return;
    uint8_t types = 0;
    const auto add = [&](const Json& name) {
      const uint8_t one = name.is_string() ? TypeByName(name.get_ref<const std::string&>()) : 0;
      if (one == 0) Fail("type", "expected the name of a type, or a list of them");
      types |= one;
    };
    if (type->is_array()) {
      for (const Json& name : *type) add(name);
    } else {
      add(*type);
    }
    const Json* const nullable = Find("nullable");  // of OpenAPI
    if (nullable != nullptr && *nullable == true) types |= json_type::kNull;
    facts_.types &= types;
  }

  void ReadValues() {
    if (const Json* const values = Find("enum")) {
      if (!values->is_array()) Fail("enum", "expected a list of values");
      if (facts_.values == nullptr) facts_.values = values;
    }
    if (const Json* const value = Find("const")) {
      if (facts_.one_value && *facts_.one_value != *value) facts_.never = true;
      facts_.one_value = *value;
    }
  }

  void ReadStrings() {
    Limit("minLength", "maxLength", facts_.min_length, facts_.max_length);
    const auto add = [&](const char* key, std::vector<std::string>& list) {
      const Json* const value = Find(key);
      if (value == nullptr) return;
      if (!value->is_string()) Fail(key, "expected a string");
      const auto& text = value->get_ref<const std::string&>();
      if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
    };
    add("pattern", facts_.patterns);
    add("format", facts_.formats);
  }

  void ReadNumbers() {
    const auto bound = [&](const char* key, bool least, bool excluded) {
      const Json* const value = Find(key);
      if (value == nullptr || value->is_boolean()) return;
      if (!value->is_number()) Fail(key, "expected a number");
      const std::optional<Decimal> at = Decimal::Of(*value);
      if (!at) {
        // Beyond all numbers that are written.
        const double number = value->get<double>();
        if (std::abs(number) > 1 && (number < 0) == least) return;
        Fail(key, "the bound is too large or too small");
      }
      if (least) {
        facts_.bounds.AtLeast({*at, excluded});
      } else {
        facts_.bounds.AtMost({*at, excluded});
      }
    };
    // In draft 4 exclusiveMinimum says whether minimum is excluded.
    const auto excluded = [&](const char* key) {
      const Json* const value = Find(key);
      return value != nullptr && *value == true;
    };
    bound("minimum", true, excluded("exclusiveMinimum"));
    bound("maximum", false, excluded("exclusiveMaximum"));
    bound("exclusiveMinimum", true, true);
    bound("exclusiveMaximum", false, true);
  }

  SchemaList Part(const Json& schema) const { return {document_.Inside(ref_, schema)}; }

  void ReadArrays() {
    Limit("minItems", "maxItems", facts_.min_items, facts_.max_items);
    const Json* const unique = Find("uniqueItems");
    facts_.unique |= unique != nullptr && *unique == true;
    const Json* first = Find("prefixItems");
    const Json* rest = Find("items");
    if (first == nullptr && rest != nullptr && rest->is_array()) {
      first = rest;
      rest = Find("additionalItems");
    }
    if (first != nullptr && !first->is_array()) Fail("prefixItems", "expected a list of schemas");
    const size_t count = first == nullptr ? 0 : first->size();
    // Items that were in one place for one schema may be in the other for another.
    const size_t before = facts_.first_items.size();
    for (size_t i = before; i < count; ++i) {
      facts_.first_items.push_back(facts_.items.value_or(SchemaList()));
    }
    for (size_t i = 0; i < facts_.first_items.size(); ++i) {
      const Json* const schema = i < count ? &(*first)[i] : rest;
      if (schema != nullptr) {
        AddUnlessThere(document_.Inside(ref_, *schema), facts_.first_items[i]);
      }
    }
    if (rest == nullptr) return;
    if (!facts_.items) facts_.items.emplace();
    AddUnlessThere(document_.Inside(ref_, *rest), *facts_.items);
  }

  void ReadObjects() {
    Limit("minProperties", "maxProperties", facts_.min_properties, facts_.max_properties);
    for (const char* const key : {"properties", "patternProperties"}) {
      const Json* const value = Find(key);
      if (value != nullptr && !value->is_object()) Fail(key, "expected an object of schemas");
    }
    if (const Json* const others = Find("additionalProperties")) {
      if (!facts_.additional) facts_.additional.emplace();
      AddUnlessThere(document_.Inside(ref_, *others), *facts_.additional);
    }
    const Json* const required = Find("required");
    if (required == nullptr || required->is_boolean()) return;  // draft 3's
    if (!required->is_array()) Fail("required", "expected a list of names");
    for (const Json& name : *required) {
      if (!name.is_string()) Fail("required", "expected a list of names");
      facts_.required.insert(name.get<std::string>());
    }
  }

  void ReadRefused() {
    for (const std::string_view keyword : kUnsupported) {
      const auto at = schema_.find(keyword);
      if (at == schema_.end()) continue;
      if (keyword == "multipleOf" && *at == 1) {  // an integer
        if ((facts_.types & json_type::kFraction) != 0) facts_.types &= ~json_type::kFraction;
        continue;
      }
      if ((keyword == "then" || keyword == "else") && Find("if") == nullptr) continue;
      if (keyword == "if" && Find("then") == nullptr && Find("else") == nullptr) continue;
      if (keyword.starts_with("unevaluated") && *at == true) continue;
      if (keyword == "not" && !ForbiddenNames(schema_).empty()) {
        facts_.types &= json_type::kObject;  // required says nothing about others
        continue;
      }
      facts_.refused.push_back({std::string(keyword), &schema_, TypesOf(keyword)});
    }
  }

  const SchemaRef& ref_;
  const Json& schema_;
  const SchemaDocument& document_;
  SchemaFacts& facts_;
};

// What one schema says about a property.
void AddProperty(const SchemaRef& ref, const std::string& name, const SchemaDocument& document,
                 SchemaList& list) {
  const Json& schema = *ref.schema;
  if (!schema.is_object()) return AddUnlessThere(ref, list);  // false
  bool found = false;
  const auto add = [&](const Json& part) {
    found = true;
    AddUnlessThere(document.Inside(ref, part), list);
  };
  if (const auto own = schema.find("properties"); own != schema.end() && own->is_object()) {
    const auto at = own->find(name);
    if (at != own->end()) add(*at);
  }
  const auto patterns = schema.find("patternProperties");
  if (patterns != schema.end() && patterns->is_object()) {
    for (auto at = patterns->begin(); at != patterns->end(); ++at) {
      if (document.NameMatches(*patterns, at.key(), name)) add(*at);
    }
  }
  const auto others = schema.find("additionalProperties");
  if (!found && others != schema.end()) add(*others);
  for (const std::string& forbidden : ForbiddenNames(schema)) {
    if (forbidden == name) add(SchemaDocument::False());
  }
}

void AddProperties(const SchemaList& schemas, const SchemaDocument& document, SchemaFacts& facts) {
  const auto add = [&](const std::string& name) {
    if (!facts.names.insert(name).second) return;
    facts.properties.emplace_back(name, PropertyOf(schemas, name, document));
  };
  for (const SchemaRef& ref : schemas) {
    const auto own = ref.schema->find("properties");
    if (own == ref.schema->end()) continue;
    for (auto at = own->begin(); at != own->end(); ++at) add(at.key());
  }
  for (const SchemaRef& ref : schemas) {
    const auto required = ref.schema->find("required");
    if (required == ref.schema->end() || !required->is_array()) continue;
    for (const Json& name : *required) add(name.get<std::string>());
  }
  for (const SchemaRef& ref : schemas) {
    for (const std::string& name : ForbiddenNames(*ref.schema)) add(name);
  }
  for (const SchemaRef& ref : schemas) {
    const auto patterns = ref.schema->find("patternProperties");
    if (patterns == ref.schema->end()) continue;
    for (auto at = patterns->begin(); at != patterns->end(); ++at) {
      SchemaList list = {document.Inside(ref, *at)};
      for (const SchemaRef& other : schemas) {
        const auto others = other.schema->find("additionalProperties");
        if (other != ref && others != other.schema->end()) {
          AddUnlessThere(document.Inside(other, *others), list);
        }
      }
      facts.patterns_of_names.emplace_back(at.key(), std::move(list));
    }
  }
}

}  // namespace

SchemaList SchemaFacts::Item(size_t index) const {
  return index < first_items.size() ? first_items[index] : items.value_or(SchemaList());
}

SchemaList Expanded(const SchemaList& schemas, const SchemaDocument& document) {
  SchemaList open(schemas.rbegin(), schemas.rend()), out;
  document.Spend(1 + open.size());
  std::set<SchemaRef> seen;
  while (!open.empty()) {
    const SchemaRef ref = open.back();
    open.pop_back();
    document.Spend(1);
    const Json& schema = *ref.schema;
    if (!seen.insert(ref).second || schema == true) continue;
    if (schema == false) return {{&SchemaDocument::False(), &SchemaDocument::False()}};
    if (!schema.is_object()) document.Fail(schema, "expected a schema: an object, true or false");
    const bool refers = !ref.expanded && schema.contains("$ref");
    if (refers && document.ref_stands_alone()) {
      open.push_back(document.Target(ref));
      continue;
    }
    if (SaysSomething(ref)) {
      SchemaRef own = ref;
      own.expanded = true;
      AddUnlessThere(own, out);
    }
    if (ref.expanded) continue;
    const auto all = schema.find("allOf");
    if (all != schema.end()) {
      if (!all->is_array()) document.FailAt(schema, "allOf", "expected a list of schemas");
      for (auto part = all->rbegin(); part != all->rend(); ++part) {
        open.push_back(document.Inside(ref, *part));
      }
    }
    if (refers) open.push_back(document.Target(ref));
  }
  return out;
}

SchemaList PropertyOf(const SchemaList& schemas, const std::string& name,
                      const SchemaDocument& document) {
  SchemaList list;
  document.Spend(schemas.size());
  for (const SchemaRef& ref : schemas) AddProperty(ref, name, document, list);
  return list;
}

SchemaFacts FactsOf(const SchemaList& schemas, const SchemaDocument& document) {
  SchemaFacts facts;
  for (const SchemaRef& ref : schemas) {
    document.Spend(1 + ref.schema->size());
    if (*ref.schema == false) {
      facts.never = true;
      return facts;
    }
    FactsReader(ref, document, facts).Read();
  }
  AddProperties(schemas, document, facts);
  return facts;
}

}  // namespace linnet
