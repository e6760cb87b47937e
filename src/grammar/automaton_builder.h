// AutomatonBuilder: turns rules into the states and edges of an Automaton.
#ifndef LINNET_GRAMMAR_AUTOMATON_BUILDER_H_
#define LINNET_GRAMMAR_AUTOMATON_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/rule_order.h"
#include "grammar/rules.h"

namespace linnet {

// Used once, by one thread. Throws what Automaton's constructor throws.
class AutomatonBuilder {
 public:
  AutomatonBuilder(const Rules& rules, uint32_t start);
  bool Build(Automaton& automaton);  // false: no text matches

 private:
  using Id = Rules::Id;
  struct Edge {
    uint32_t from, to;
    uint32_t rule;  // of a call; kByte, kEmpty
    uint8_t low, high;
  };
  static constexpr uint32_t kByte = ~uint32_t{0}, kEmpty = kByte - 1;
  // The characters of a set as edges between states, of which 0 is the begin and 1 the end.
  struct Fragment {
    uint32_t states = 2;
    std::vector<Edge> edges;
  };
  // The rules that end where the current one ends, with their first states.
  using Tail = std::map<uint32_t, uint32_t>;

  uint32_t NewState();
  void Read(uint32_t from, uint8_t low, uint8_t high, uint32_t to);
  void Join(uint32_t from, uint32_t to);
  // Makes paths between the two states that match the expression. With `tail`, `to` is the last
  // state of the rules in it.
  void Add(Id id, uint32_t from, uint32_t to, Tail* tail);
  void AddRepeat(const Rules::Expression& e, uint32_t from, uint32_t to, Tail* tail);
  void AddGraph(const Rules::Expression& e, uint32_t from, uint32_t to, Tail* tail);
  void AddRule(uint32_t rule, uint32_t from, uint32_t to, Tail* tail);
  const Fragment& FragmentOf(const Rules::Expression& e);
  // The own rule of an expression, so that it can be called.
  uint32_t RuleOf(Id id);
  void Call(uint32_t from, uint32_t rule, uint32_t to);
  uint32_t FirstOf(uint32_t rule);

  void FindNullable();
  void FindLive();
  void SkipEmptyStates();
  void FindClasses(Automaton& automaton) const;
  void Sort(Automaton& automaton) const;

  const Rules& rules_;
  RuleOrder order_;
  uint32_t start_;
  size_t depth_ = 0;
  std::vector<Edge> edges_;
  std::vector<uint32_t> ends_;          // per state
  std::vector<uint32_t> first_, last_;  // per rule; kByte: not called yet
  std::vector<Id> bodies_;              // per rule, then those of RuleOf
  std::vector<uint32_t> waiting_;       // called, to be built
  std::unordered_map<Id, uint32_t> own_rule_;
  std::unordered_map<uint32_t, Fragment> fragments_;  // by the index of the set
  std::vector<uint8_t> nullable_, live_;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_AUTOMATON_BUILDER_H_
