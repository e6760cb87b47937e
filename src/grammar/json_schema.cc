#include "grammar/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "grammar/json_lists.h"
#include "grammar/json_strings.h"
#include "grammar/json_text.h"
#include "grammar/schema_check.h"
#include "grammar/schema_document.h"
#include "grammar/schema_facts.h"
#include "grammar/schema_overlap.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

// Each list of schemas that must hold at once is a rule, so that recursion ends.
class SchemaCompiler {
 public:
  SchemaCompiler(std::string_view schema, const std::string& name, Rules& rules)
      : document_(schema, name), rules_(rules), json_(rules) {}

  uint32_t Compile() {
    const uint32_t root = rules_.NewRule();
    const Id body = Value({document_.root()});
    while (!waiting_.empty()) {
      const auto [list, rule] = std::move(waiting_.front());
      waiting_.pop_front();
      rules_.SetRule(rule, Body(list));
    }
    rules_.SetRule(root, body);
    return root;
  }

 private:
  using Id = Rules::Id;

  Id Value(const SchemaList& schemas) {
    SchemaList list = Expanded(schemas, document_);
    if (list.empty()) return json_.AnyValue();
    if (*list.front().schema == false) return rules_.Nothing();
    const auto [at, fresh] = compiled_.emplace(list, 0);
    if (fresh) {
      at->second = rules_.NewRule();
      waiting_.emplace_back(std::move(list), at->second);
    }
    return rules_.Rule(at->second);
  }

  Id Body(const SchemaList& list) {
    const SchemaFacts facts = FactsOf(list, document_);
    if (facts.never) return rules_.Nothing();
    if (facts.one_value || facts.values != nullptr) return Values(list, facts);
    SchemaChoice choice;
    if (FindChoice(list, choice)) return Choice(list, choice);
    const uint8_t types = GeneratedTypes(facts);
    for (const auto& refused : facts.refused) {
      if ((refused.types & types) != 0) Refuse(*refused.schema, refused.keyword);
    }
    return Types(list, facts, types);
  }

  [[noreturn]] void Refuse(const Json& schema, const std::string& keyword) {
    document_.FailAt(schema, keyword, "is not supported");
  }

  // Runs `work`, and names a schema in its errors.
  template <class Work>
  Id At(const SchemaList& list, const Work& work) {
    try {
      return work();
    } catch (const Error& error) {
      document_.Fail(*list.front().schema, error.what());
    }
  }

  // Of the values that a schema lists, those that the other keywords allow.
  Id Values(const SchemaList& list, const SchemaFacts& facts) {
    std::vector<Id> parts;
    const auto add = [&](const Json& value) {
      const Verdict verdict = CheckValue(list, value, document_);
      if (verdict == Verdict::kUnknown) {
        document_.Fail(*list.front().schema,
                       "it lists values beside a keyword that is not supported for them");
      }
      if (verdict == Verdict::kYes) parts.push_back(json_.Value(value));
    };
    if (facts.one_value) {
      add(*facts.one_value);
    } else {
      for (const Json& value : *facts.values) add(value);
    }
    return rules_.Choice(std::move(parts));
  }

  Id Choice(const SchemaList& list, const SchemaChoice& choice) {
    const size_t count = (*list[choice.at].schema)[choice.keyword].size();
    std::vector<SchemaList> chosen;
    chosen.reserve(count);
    for (size_t i = 0; i < count; ++i) chosen.push_back(Chosen(list, choice, i, document_));
    std::vector<Separation> forced(count);
    if (std::string_view(choice.keyword) == "oneOf") {
      for (size_t i = 0; i < count; ++i) {
        for (size_t j = 0; j < count; ++j) {
          if (i == j || Excludes(chosen[i], chosen[j], document_, forced[i])) continue;
          document_.FailAt(*list[choice.at].schema, choice.keyword,
                           fmt::format("alternatives {} and {} may hold at once, which is not "
                                       "supported; use anyOf",
                                       std::min(i, j), std::max(i, j)));
        }
      }
    }
    std::vector<Id> parts;
    parts.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      if (!forced[i].required.empty() || !forced[i].forbidden.empty()) {
        Json& made = made_.emplace_back(Json{{"required", forced[i].required}});
        for (const std::string& name : forced[i].forbidden) made["properties"][name] = false;
        chosen[i].push_back({&made, &made});
      }
      parts.push_back(Value(chosen[i]));
    }
    return rules_.Choice(std::move(parts));
  }

  Id Types(const SchemaList& list, const SchemaFacts& facts, uint8_t types) {
    using namespace json_type;  // NOLINT
    std::vector<Id> parts;
    if ((types & kObject) != 0) parts.push_back(Object(list, facts));
    if ((types & kArray) != 0) parts.push_back(Array(list, facts));
    if ((types & kString) != 0) {
      parts.push_back(At(list, [&] { return AddString(facts, json_); }));
    }
    if ((types & kNumber) != 0) {
      const bool integer = (types & kFraction) == 0;
      parts.push_back(At(list, [&] {
        if (facts.bounds.none()) return integer ? json_.Integer() : json_.Number();
        return integer ? AddIntegers(facts.bounds, rules_) : AddNumbers(facts.bounds, rules_);
      }));
    }
    if ((types & kBoolean) != 0) parts.push_back(json_.Boolean());
    if ((types & kNull) != 0) parts.push_back(json_.Null());
    return rules_.Choice(std::move(parts));
  }

  Id Array(const SchemaList& list, const SchemaFacts& facts) {
    if (facts.unique && facts.max_items > 1) return DistinctItems(list, facts);
    ArrayParts parts{.least = facts.min_items, .most = facts.max_items};
    parts.first.reserve(facts.first_items.size());
    for (const SchemaList& item : facts.first_items) parts.first.push_back(Value(item));
    const bool more = facts.items || parts.first.empty() || facts.min_items > parts.first.size();
    if (more) parts.rest = Value(facts.items.value_or(SchemaList()));
    // Items of which no schema speaks are written only if they must be.
    if (!facts.items && !parts.first.empty()) {
      parts.most = std::min<uint32_t>(
          parts.most,
          std::max<uint32_t>(facts.min_items, static_cast<uint32_t>(parts.first.size())));
    }
    return AddArray(parts, json_);
  }

  // Items that a schema lists, each at most once, in that order.
  Id DistinctItems(const SchemaList& list, const SchemaFacts& facts) {
    const SchemaList items = Expanded(facts.items.value_or(SchemaList()), document_);
    const SchemaFacts of_items = FactsOf(items, document_);
    if (facts.first_items.empty() && of_items.values != nullptr && !of_items.one_value) {
      std::vector<const Json*> values;
      std::vector<Id> parts;
      for (const Json& value : *of_items.values) {
        document_.Spend(values.size());
        const bool known = std::any_of(values.begin(), values.end(), [&](const Json* other) {
          return EqualValues(*other, value);
        });
        if (known || CheckValue(items, value, document_) != Verdict::kYes) continue;
        values.push_back(&value);
        parts.push_back(json_.Value(value));
      }
      return At(list, [&] { return AddDistinct(parts, facts.min_items, facts.max_items, json_); });
    }
    for (const SchemaRef& ref : list) {
      if (ref.schema->contains("uniqueItems")) {
        document_.FailAt(*ref.schema, "uniqueItems",
                         "is supported only for items that an enum lists");
      }
    }
    Refuse(*list.front().schema, "uniqueItems");
  }

  Id Object(const SchemaList& list, const SchemaFacts& facts) {
    if (facts.properties.empty() && facts.patterns_of_names.empty() && !facts.additional &&
        facts.min_properties == 0 && facts.max_properties == SchemaFacts::kNoLimit) {
      return json_.AnyObject();
    }
    ObjectParts parts{.least = facts.min_properties, .most = facts.max_properties};
    for (const auto& [name, property] : facts.properties) {
      parts.names.push_back(name);
      parts.properties.push_back(
          {json_.Member(json_.Exactly(name), Value(property)), facts.required.contains(name)});
    }
    for (const auto& [pattern, values] : facts.patterns_of_names) {
      parts.patterns.push_back({pattern, Value(values)});
    }
    if (GeneratesOthers(facts) && (facts.additional || facts.patterns_of_names.empty())) {
      parts.others = Value(facts.additional.value_or(SchemaList()));
    }
    return At(list, [&] { return AddObject(parts, json_); });
  }

  SchemaDocument document_;
  Rules& rules_;
  JsonText json_;
  std::map<SchemaList, uint32_t> compiled_;
  std::deque<std::pair<SchemaList, uint32_t>> waiting_;
  std::deque<Json> made_;
};

}  // namespace

uint32_t ReadJsonSchema(std::string_view schema, const std::string& name, Rules& rules) {
  return SchemaCompiler(schema, name, rules).Compile();
}

}  // namespace linnet
