// Arrays and objects, as expressions.
#ifndef LINNET_GRAMMAR_JSON_LISTS_H_
#define LINNET_GRAMMAR_JSON_LISTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "grammar/json_text.h"
#include "grammar/rules.h"

namespace linnet {

// All throw Error kBadInput if counting needs too many states.
struct ArrayParts {
  std::vector<Rules::Id> first{};   // one after another, as many as may be there
  std::optional<Rules::Id> rest{};  // the items after them
  uint32_t least = 0, most = Rules::kNoLimit;
};
Rules::Id AddArray(const ArrayParts& parts, JsonText& json);

// An array of some of the items, in their order.
Rules::Id AddDistinct(const std::vector<Rules::Id>& items, uint32_t least, uint32_t most,
                      JsonText& json);

struct ObjectParts {
  struct Property {
    Rules::Id member;  // name and value
    bool required;
  };
  struct Pattern {
    std::string names;
    Rules::Id value;
  };
  std::vector<Property> properties{};  // in this order
  std::vector<std::string> names{};    // of those
  std::vector<Pattern> patterns{};     // then any number of properties whose names match one
  std::optional<Rules::Id> others{};   // or match none and are not among the names
  uint32_t least = 0, most = Rules::kNoLimit;
};
Rules::Id AddObject(const ObjectParts& parts, JsonText& json);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_JSON_LISTS_H_
