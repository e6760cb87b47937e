#include "grammar/rule_order.h"

#include <algorithm>

namespace linnet {
namespace {

// Of a call, or of a recursive rule that is not copied.
constexpr uint32_t kCallSize = 2;

uint32_t Capped(uint64_t size) {
  return static_cast<uint32_t>(std::min<uint64_t>(size, RuleOrder::kLarge));
}

}  // namespace

RuleOrder::RuleOrder(const Rules& rules, uint32_t start)
    : rules_(rules),
      used_(rules.rules()),
      recursive_(rules.rules()),
      found_(rules.rules()),
      uses_(rules.rules()),
      rule_size_(rules.rules(), kCallSize),
      size_(rules.size()) {
  FindCycles(start);
}

void RuleOrder::FindUses(uint32_t rule) {
  std::vector<Rules::Id> waiting = {rules_.body(rule)};
  std::vector<uint32_t>& used = used_[rule];
  while (!waiting.empty()) {
    const Rules::Expression& e = rules_.at(waiting.back());
    waiting.pop_back();
    switch (e.kind) {
      case Rules::Kind::kRule:
        used.push_back(e.index);
        ++uses_[e.index];
        break;
      case Rules::Kind::kSequence:
      case Rules::Kind::kChoice:
      case Rules::Kind::kRepeat:
        waiting.insert(waiting.end(), rules_.parts(e).begin(), rules_.parts(e).end());
        break;
      case Rules::Kind::kGraph:
        for (const Rules::Edge& edge : rules_.edges(e)) waiting.push_back(edge.label);
        break;
      default:
        break;
    }
  }
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
}

// Tarjan's strongly connected components, without recursion, since chains of rules may be long. A
// component is complete before those that use it, so sizes are known in time.
void RuleOrder::FindCycles(uint32_t start) {
  struct Visit {
    uint32_t rule;
    size_t next = 0;
  };
  std::vector<uint32_t> number(used_.size(), 0), low(used_.size(), 0), open;
  std::vector<uint8_t> is_open(used_.size(), 0);
  std::vector<Visit> path;
  uint32_t count = 0;
  const auto enter = [&](uint32_t rule) {
    FindUses(rule);
    number[rule] = low[rule] = ++count;
    open.push_back(rule);
    is_open[rule] = 1;
    path.push_back({rule});
  };
  enter(start);
  while (!path.empty()) {
    const uint32_t rule = path.back().rule;
    if (path.back().next < used_[rule].size()) {
      const uint32_t next = used_[rule][path.back().next++];
      if (number[next] == 0) {
        enter(next);
      } else if (is_open[next] != 0) {
        low[rule] = std::min(low[rule], number[next]);
      }
      continue;
    }
    path.pop_back();
    if (!path.empty()) low[path.back().rule] = std::min(low[path.back().rule], low[rule]);
    if (low[rule] != number[rule]) continue;
    const bool itself = std::binary_search(used_[rule].begin(), used_[rule].end(), rule);
    const bool cycle = open.back() != rule || itself;
    for (bool more = true; more;) {
      const uint32_t member = open.back();
      more = member != rule;
      open.pop_back();
      is_open[member] = 0;
      recursive_[member] = cycle ? 1 : 0;
    }
    rule_size_[rule] = cycle ? kCallSize : SizeOf(rules_.body(rule));
  }
}

uint32_t RuleOrder::SizeOf(Rules::Id id) {
  if (id < size_.size() && size_[id] != 0) return size_[id];
  const Rules::Expression& e = rules_.at(id);
  uint64_t size = 1;
  switch (e.kind) {
    case Rules::Kind::kBytes:
      size = rules_.bytes(e).size();
      break;
    case Rules::Kind::kChars:
      size = rules_.chars(e).ranges().back().last < 0x80 ? 1 : 8;
      break;
    case Rules::Kind::kSequence:
    case Rules::Kind::kChoice:
      for (const Rules::Id part : rules_.parts(e)) size += SizeOf(part);
      break;
    case Rules::Kind::kRepeat:
      size += uint64_t{SizeOf(rules_.parts(e).front())} *
              std::max(1u, e.most == Rules::kNoLimit ? e.least : e.most);
      break;
    case Rules::Kind::kGraph:
      for (const Rules::Edge& edge : rules_.edges(e)) size += SizeOf(edge.label);
      break;
    case Rules::Kind::kRule:
      size = rule_size_[e.index];
      break;
    default:
      break;
  }
  return size_[id] = Capped(size);
}

}  // namespace linnet
