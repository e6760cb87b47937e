// RuleOrder: which rules are recursive, and how large rules are if they are copied.
#ifndef LINNET_GRAMMAR_RULE_ORDER_H_
#define LINNET_GRAMMAR_RULE_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "grammar/rules.h"

namespace linnet {

// About the rules that can be reached from a start rule. Keeps a reference to the rules, which must
// not change. Not thread-safe.
class RuleOrder {
 public:
  RuleOrder(const Rules& rules, uint32_t start);

  bool recursive(uint32_t rule) const { return recursive_[rule] != 0; }
  size_t uses(uint32_t rule) const { return uses_[rule]; }
  // About the number of states of a copy, in which rules that are not recursive are copied too. At
  // most kLarge.
  uint32_t size(uint32_t rule) const { return rule_size_[rule]; }
  uint32_t SizeOf(Rules::Id id);
  static constexpr uint32_t kLarge = 1u << 30;

 private:
  void FindUses(uint32_t rule);
  void FindCycles(uint32_t start);

  const Rules& rules_;
  std::vector<std::vector<uint32_t>> used_;  // rules in the body of each, once each
  std::vector<uint8_t> recursive_, found_;
  std::vector<size_t> uses_;
  std::vector<uint32_t> rule_size_, size_;  // 0: not known
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_RULE_ORDER_H_
