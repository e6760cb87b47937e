#include "grammar/schema_overlap.h"

#include <algorithm>
#include <array>
#include <utility>

#include "grammar/schema_check.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kDeepestOverlap = 8;

bool IsNever(const SchemaList& list, const SchemaDocument& document) {
  const SchemaList expanded = Expanded(list, document);
  return expanded.size() == 1 && *expanded.front().schema == false;
}

class Overlap {
 public:
  explicit Overlap(const SchemaDocument& document) : document_(document) {}

  // Without `force`, nothing may be chosen.
  bool Excluded(const SchemaList& a_list, const SchemaList& b_list, size_t depth,
                Separation* force) {
    document_.Spend(1);
    if (depth > kDeepestOverlap) return false;
    const SchemaList a = Expanded(a_list, document_), b = Expanded(b_list, document_);
    const SchemaFacts of_a = FactsOf(a, document_), of_b = FactsOf(b, document_);
    if (of_a.never || of_b.never) return true;
    if (FactsExclude(a, of_a, b, of_b, depth, force)) return true;
    SchemaChoice choice;
    if (FindChoice(a, choice)) {
      return All(a, choice,
                 [&](const SchemaList& one) { return Excluded(one, b, depth + 1, nullptr); });
    }
    if (FindChoice(b, choice)) {
      return All(b, choice,
                 [&](const SchemaList& one) { return Excluded(a, one, depth + 1, nullptr); });
    }
    return false;
  }

 private:
  template <class Holds>
  bool All(const SchemaList& list, const SchemaChoice& choice, const Holds& holds) {
    const Json& alternatives = (*list[choice.at].schema)[choice.keyword];
    for (size_t i = 0; i < alternatives.size(); ++i) {
      if (!holds(Chosen(list, choice, i, document_))) return false;
    }
    return true;
  }

  bool AllFail(const SchemaFacts& values, const SchemaList& schemas) {
    const auto fails = [&](const Json& value) {
      return CheckValue(schemas, value, document_) == Verdict::kNo;
    };
    if (values.one_value) return fails(*values.one_value);
    return std::all_of(values.values->begin(), values.values->end(), fails);
  }

  static bool Lists(const SchemaFacts& facts) {
    return facts.one_value.has_value() || facts.values != nullptr;
  }

  bool FactsExclude(const SchemaList& a, const SchemaFacts& of_a, const SchemaList& b,
                    const SchemaFacts& of_b, size_t depth, Separation* force) {
    using namespace json_type;  // NOLINT
    if (Lists(of_a) && AllFail(of_a, b)) return true;
    if (Lists(of_b) && AllFail(of_b, a)) return true;
    const uint8_t common = GeneratedTypes(of_a) & of_b.types;
    if ((common & (kNull | kBoolean)) != 0) return false;
    if ((common & kString) != 0 && of_a.min_length <= of_b.max_length &&
        of_b.min_length <= of_a.max_length) {
      return false;
    }
    if ((common & kNumber) != 0) {
      NumberBounds both = of_a.bounds;
      if (of_b.bounds.least) both.AtLeast(*of_b.bounds.least);
      if (of_b.bounds.most) both.AtMost(*of_b.bounds.most);
      if (!both.empty()) return false;
    }
    if ((common & kArray) != 0 && !ArraysExclude(of_a, of_b, depth)) return false;
    return (common & kObject) == 0 || ObjectsExclude(a, of_a, b, of_b, depth, force);
  }

  bool ArraysExclude(const SchemaFacts& of_a, const SchemaFacts& of_b, size_t depth) {
    if (of_a.min_items > of_b.max_items || of_b.min_items > of_a.max_items) return true;
    // All first items are generated.
    const size_t sure =
        std::min<size_t>(std::max<size_t>(of_a.min_items, of_a.first_items.size()), of_a.max_items);
    for (size_t i = 0; i < std::min<size_t>(sure, 1 + of_b.first_items.size()); ++i) {
      if (Excluded(of_a.Item(i), of_b.Item(i), depth + 1, nullptr)) return true;
    }
    return false;
  }

  bool ObjectsExclude(const SchemaList& a, const SchemaFacts& of_a, const SchemaList& b,
                      const SchemaFacts& of_b, size_t depth, Separation* force) {
    // Something that b requires and a never writes. With a choice, a may say more than its facts.
    SchemaChoice choice;
    if (!FindChoice(a, choice)) {
      for (const std::string& name : of_b.required) {
        if (!of_a.names.contains(name) && !GeneratesOthers(of_a)) return true;
        if (IsNever(PropertyOf(a, name, document_), document_)) return true;
      }
    }
    // Something that a always writes and b does not allow.
    const std::pair<std::string, SchemaList>* forced = nullptr;
    for (const auto& property : of_a.properties) {
      const bool sure = of_a.required.contains(property.first);
      if (!sure && (force == nullptr || forced != nullptr)) continue;
      const SchemaList other = PropertyOf(b, property.first, document_);
      if (other.empty() || !Excluded(property.second, other, depth + 1, nullptr)) continue;
      if (sure) return true;
      if (!IsNever(property.second, document_)) forced = &property;
    }
    if (force == nullptr) return false;
    // Something that b requires and a need not write.
    for (const std::string& name : of_b.required) {
      if (of_a.required.contains(name) || force->required.contains(name) || FindChoice(a, choice)) {
        continue;
      }
      force->forbidden.insert(name);
      return true;
    }
    if (forced == nullptr || force->forbidden.contains(forced->first)) return false;
    force->required.insert(forced->first);
    return true;
  }

  const SchemaDocument& document_;
};

}  // namespace

uint8_t GeneratedTypes(const SchemaFacts& facts) {
  using namespace json_type;  // NOLINT
  if (facts.types != kAll || facts.one_value || facts.values != nullptr) return facts.types;
  uint8_t types = 0;
  if (!facts.properties.empty() || !facts.patterns_of_names.empty() || facts.additional ||
      facts.min_properties > 0 || facts.max_properties != SchemaFacts::kNoLimit) {
    types |= kObject;
  }
  if (!facts.first_items.empty() || facts.items || facts.unique || facts.min_items > 0 ||
      facts.max_items != SchemaFacts::kNoLimit) {
    types |= kArray;
  }
  if (!facts.patterns.empty() || !facts.formats.empty() || facts.min_length > 0 ||
      facts.max_length != SchemaFacts::kNoLimit) {
    types |= kString;
  }
  if (!facts.bounds.none()) types |= kNumber;
  return types == 0 ? kAll : types;
}

bool GeneratesOthers(const SchemaFacts& facts) {
  return facts.additional || !facts.patterns_of_names.empty() || facts.properties.empty();
}

bool FindChoice(const SchemaList& schemas, SchemaChoice& choice) {
  for (size_t i = 0; i < schemas.size(); ++i) {
    const SchemaRef& ref = schemas[i];
    if (!ref.schema->is_object()) continue;
    if (!ref.any_of_done && ref.schema->contains("anyOf")) {
      choice = {i, "anyOf"};
      return true;
    }
    if (!ref.one_of_done && ref.schema->contains("oneOf")) {
      choice = {i, "oneOf"};
      return true;
    }
  }
  return false;
}

SchemaList Chosen(const SchemaList& schemas, const SchemaChoice& choice, size_t alternative,
                  const SchemaDocument& document) {
  SchemaList list = schemas;
  SchemaRef& ref = list[choice.at];
  const Json& alternatives = (*ref.schema)[choice.keyword];
  if (!alternatives.is_array()) {
    document.FailAt(*ref.schema, choice.keyword, "expected a list of schemas");
  }
  (choice.keyword[0] == 'a' ? ref.any_of_done : ref.one_of_done) = true;
  const SchemaRef one = document.Inside(ref, alternatives[alternative]);
  list.push_back(one);
  return list;
}

bool Excludes(const SchemaList& a, const SchemaList& b, const SchemaDocument& document,
              Separation& separation) {
  return Overlap(document).Excluded(a, b, 0, &separation);
}

}  // namespace linnet
