#include "grammar/schema_check.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "grammar/schema_facts.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kDeepestCheck = 60;

Verdict From(bool yes) { return yes ? Verdict::kYes : Verdict::kNo; }
Verdict And(Verdict a, Verdict b) { return std::min(a, b); }
Verdict Or(Verdict a, Verdict b) { return std::max(a, b); }
Verdict Not(Verdict a) { return a == Verdict::kUnknown ? a : From(a == Verdict::kNo); }

uint8_t TypeOf(const Json& value) {
  using namespace json_type;  // NOLINT
  if (value.is_null()) return kNull;
  if (value.is_boolean()) return kBoolean;
  if (value.is_object()) return kObject;
  if (value.is_array()) return kArray;
  if (value.is_string()) return kString;
  if (value.is_number_integer()) return kInteger;
  const double number = value.get<double>();
  return std::floor(number) == number ? kInteger : kFraction;
}

size_t Characters(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

class Checker {
 public:
  explicit Checker(const SchemaDocument& document) : document_(document) {}

  Verdict Check(const SchemaRef& ref, const Json& value, size_t depth) {
    document_.Spend(1);
    const Json& schema = *ref.schema;
    if (schema.is_boolean()) return From(schema == true);
    if (!schema.is_object()) document_.Fail(schema, "expected a schema: an object, true or false");
    if (depth > kDeepestCheck) return Verdict::kUnknown;
    Verdict verdict = Verdict::kYes;
    if (schema.contains("$ref")) {
      verdict = Check(document_.Target(ref), value, depth + 1);
      if (document_.ref_stands_alone()) return verdict;
    }
    verdict = And(verdict, CheckParts(ref, value, depth));
    // The other keywords are those of facts, of this schema alone.
    const SchemaFacts facts = FactsOf({ref}, document_);
    if (facts.never || (facts.types & TypeOf(value)) == 0) return Verdict::kNo;
    if (facts.one_value && !EqualValues(*facts.one_value, value)) return Verdict::kNo;
    if (facts.values != nullptr &&
        std::none_of(facts.values->begin(), facts.values->end(),
                     [&](const Json& one) { return EqualValues(one, value); })) {
      return Verdict::kNo;
    }
    for (const auto& refused : facts.refused) {
      const bool known = refused.keyword == "not" || refused.keyword == "if" ||
                         refused.keyword == "then" || refused.keyword == "else";
      if ((refused.types & TypeOf(value)) != 0 && !known) {
        verdict = And(verdict, Verdict::kUnknown);
      }
    }
    if (value.is_string()) return And(verdict, CheckString(facts, schema, value));
    if (value.is_number()) return And(verdict, CheckNumber(facts, value));
    if (value.is_array()) return And(verdict, CheckArray(facts, value, depth));
    if (value.is_object()) return And(verdict, CheckObject(ref, facts, value, depth));
    return verdict;
  }

 private:
  Verdict CheckParts(const SchemaRef& ref, const Json& value, size_t depth) {
    const Json& schema = *ref.schema;
    const auto check = [&](const Json& part) {
      return Check(document_.Inside(ref, part), value, depth + 1);
    };
    Verdict verdict = Verdict::kYes;
    for (auto at = schema.begin(); at != schema.end(); ++at) {
      if (at.key() == "not") verdict = And(verdict, Not(check(*at)));
      if (at.key() == "if") {
        const Verdict is = check(*at);
        const auto part = [&](const char* key) {
          return schema.contains(key) ? check(schema[key]) : Verdict::kYes;
        };
        if (is != Verdict::kNo) verdict = And(verdict, Or(part("then"), Not(is)));
        if (is != Verdict::kYes) verdict = And(verdict, Or(part("else"), is));
      }
      if (!at->is_array()) continue;
      Verdict any = Verdict::kNo, all = Verdict::kYes;
      size_t yes = 0, unknown = 0;
      if (at.key() != "allOf" && at.key() != "anyOf" && at.key() != "oneOf") continue;
      for (const Json& part : *at) {
        const Verdict one = check(part);
        any = Or(any, one);
        all = And(all, one);
        yes += one == Verdict::kYes ? 1 : 0;
        unknown += one == Verdict::kUnknown ? 1 : 0;
      }
      if (at.key() == "allOf") verdict = And(verdict, all);
      if (at.key() == "anyOf") verdict = And(verdict, any);
      if (at.key() == "oneOf") {
        if (yes > 1 || yes + unknown == 0) return Verdict::kNo;
        if (unknown > 0) verdict = And(verdict, Verdict::kUnknown);
      }
    }
    return verdict;
  }

  Verdict CheckString(const SchemaFacts& facts, const Json& schema, const Json& value) const {
    const auto& text = value.get_ref<const std::string&>();
    const size_t length = Characters(text);
    if (length < facts.min_length || length > facts.max_length) return Verdict::kNo;
    Verdict verdict = facts.formats.empty() ? Verdict::kYes : Verdict::kUnknown;
    for (const std::string& pattern : facts.patterns) {
      Verdict matches = Verdict::kUnknown;
      try {
        matches = From(document_.NameMatches(schema, pattern, text));
      } catch (const Error&) {  // not supported, or not ASCII
      }
      verdict = And(verdict, matches);
    }
    return verdict;
  }

  Verdict CheckNumber(const SchemaFacts& facts, const Json& value) const {
    if (facts.bounds.none()) return Verdict::kYes;
    const std::optional<Decimal> number = Decimal::Of(value);
    if (!number) return Verdict::kUnknown;
    NumberBounds bounds = facts.bounds;
    bounds.AtLeast({*number});
    bounds.AtMost({*number});
    return From(!bounds.empty());
  }

  Verdict CheckArray(const SchemaFacts& facts, const Json& value, size_t depth) {
    if (value.size() < facts.min_items || value.size() > facts.max_items) return Verdict::kNo;
    Verdict verdict = Verdict::kYes;
    for (size_t i = 0; i < value.size(); ++i) {
      for (const SchemaRef& item : facts.Item(i)) {
        verdict = And(verdict, Check(item, value[i], depth + 1));
      }
      for (size_t j = 0; facts.unique && j < i; ++j) {
        document_.Spend(1);
        if (EqualValues(value[i], value[j])) return Verdict::kNo;
      }
    }
    return verdict;
  }

  Verdict CheckObject(const SchemaRef& ref, const SchemaFacts& facts, const Json& value,
                      size_t depth) {
    if (value.size() < facts.min_properties || value.size() > facts.max_properties) {
      return Verdict::kNo;
    }
    for (const std::string& name : facts.required) {
      if (!value.contains(name)) return Verdict::kNo;
    }
    Verdict verdict = Verdict::kYes;
    for (auto at = value.begin(); at != value.end(); ++at) {
      for (const SchemaRef& property : PropertyOf({ref}, at.key(), document_)) {
        verdict = And(verdict, Check(property, *at, depth + 1));
      }
    }
    return verdict;
  }

  const SchemaDocument& document_;
};

}  // namespace

Verdict CheckValue(const SchemaList& schemas, const Json& value, const SchemaDocument& document) {
  Verdict verdict = Verdict::kYes;
  for (const SchemaRef& ref : schemas) {
    verdict = And(verdict, Checker(document).Check(ref, value, 0));
  }
  return verdict;
}

bool EqualValues(const Json& a, const Json& b) {
  if (a.type() != b.type()) return a.is_number() && b.is_number() && a == b;
  if (a.is_array()) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), EqualValues);
  }
  if (!a.is_object()) return a == b;
  if (a.size() != b.size()) return false;
  for (auto at = a.begin(); at != a.end(); ++at) {
    const auto other = b.find(at.key());
    if (other == b.end() || !EqualValues(*at, *other)) return false;
  }
  return true;
}

}  // namespace linnet
