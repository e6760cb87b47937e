// What AutomatonBuilder finds out about finished states, in time that is linear in the edges.
#include <algorithm>
#include <numeric>
#include <utility>

#include "grammar/automaton_builder.h"

namespace linnet {
namespace {

// The edges that leave, or enter, each state.
template <class Edges, class StateOf>
class EdgeLists {
 public:
  EdgeLists(const Edges& edges, size_t states, StateOf state_of) : begin_(states + 1) {
    for (const auto& edge : edges) ++begin_[state_of(edge) + 1];
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    order_.resize(edges.size());
    std::vector<uint32_t> next(begin_.begin(), begin_.end() - 1);
    for (uint32_t i = 0; i < edges.size(); ++i) order_[next[state_of(edges[i])]++] = i;
  }
  const uint32_t* begin(uint32_t state) const { return order_.data() + begin_[state]; }
  const uint32_t* end(uint32_t state) const { return order_.data() + begin_[state + 1]; }

 private:
  std::vector<uint32_t> begin_, order_;
};

}  // namespace

// A rule is nullable if its last state is reached without reading. A call of a rule that is not
// known to be nullable waits until it is.
void AutomatonBuilder::FindNullable() {
  const EdgeLists from(edges_, ends_.size(), [](const Edge& e) { return e.from; });
  nullable_.assign(first_.size(), 0);
  std::vector<uint8_t> reached(ends_.size(), 0);
  std::vector<std::vector<uint32_t>> calls(first_.size());  // states after calls of each rule
  std::vector<uint32_t> waiting;
  const auto reach = [&](uint32_t state) {
    if (std::exchange(reached[state], 1) == 0) waiting.push_back(state);
  };
  // All rules at once: each has states of its own, and what is reached in one is from its first.
  for (const uint32_t first : first_) {
    if (first != kByte) reach(first);
  }
  while (!waiting.empty()) {
    const uint32_t state = waiting.back();
    waiting.pop_back();
    const uint32_t ended = ends_[state];
    if (ended != Automaton::kNoRule && nullable_[ended] == 0) {
      nullable_[ended] = 1;
      for (const uint32_t after : std::exchange(calls[ended], {})) reach(after);
    }
    for (const uint32_t* i = from.begin(state); i != from.end(state); ++i) {
      const Edge& edge = edges_[*i];
      if (edge.rule == kByte) continue;
      if (edge.rule == kEmpty || nullable_[edge.rule] != 0) {
        reach(edge.to);
      } else {
        calls[edge.rule].push_back(edge.to);
      }
    }
  }
}

// A state is live if it leads to the last state of its rule. Edges from and to others go.
void AutomatonBuilder::FindLive() {
  const EdgeLists to(edges_, ends_.size(), [](const Edge& e) { return e.to; });
  live_.assign(ends_.size(), 0);
  std::vector<uint32_t> rule_of_first(ends_.size(), kByte), waiting;
  std::vector<std::vector<uint32_t>> calls(first_.size());  // live after a call of each rule
  const auto reach = [&](uint32_t state) {
    if (std::exchange(live_[state], 1) == 0) waiting.push_back(state);
  };
  for (uint32_t rule = 0; rule < first_.size(); ++rule) {
    if (first_[rule] == kByte) continue;
    rule_of_first[first_[rule]] = rule;
    reach(last_[rule]);
  }
  reach(1);
  while (!waiting.empty()) {
    const uint32_t state = waiting.back();
    waiting.pop_back();
    if (rule_of_first[state] != kByte) {
      for (const uint32_t before : std::exchange(calls[rule_of_first[state]], {})) reach(before);
    }
    for (const uint32_t* i = to.begin(state); i != to.end(state); ++i) {
      const Edge& edge = edges_[*i];
      if (edge.rule == kByte || edge.rule == kEmpty || live_[first_[edge.rule]] != 0) {
        reach(edge.from);
      } else {
        calls[edge.rule].push_back(edge.from);
      }
    }
  }
  std::erase_if(edges_, [this](const Edge& e) {
    const bool called = e.rule == kByte || e.rule == kEmpty || live_[first_[e.rule]] != 0;
    return live_[e.from] == 0 || live_[e.to] == 0 || !called;
  });
}

// Edges pass by states from which a single edge leads on that reads nothing.
void AutomatonBuilder::SkipEmptyStates() {
  constexpr uint32_t kNone = ~uint32_t{0};
  std::vector<uint32_t> next(ends_.size(), kNone), out(ends_.size(), 0);
  for (const Edge& edge : edges_) {
    ++out[edge.from];
    if (edge.rule == kEmpty) next[edge.from] = edge.to;
  }
  for (uint32_t state = 0; state < next.size(); ++state) {
    if (out[state] != 1 || ends_[state] != Automaton::kNoRule) next[state] = kNone;
  }
  std::vector<uint32_t> path;
  const auto end_of = [&](uint32_t state) {
    path.clear();
    // A loop of such states cannot be live.
    for (; next[state] != kNone; state = next[state]) path.push_back(state);
    for (const uint32_t passed : path) next[passed] = state;
    return state;
  };
  for (Edge& edge : edges_) edge.to = end_of(edge.to);
  std::erase_if(edges_, [](const Edge& e) { return e.rule == kEmpty && e.from == e.to; });
}

void AutomatonBuilder::FindClasses(Automaton& automaton) const {
  std::array<bool, 257> begins{};
  begins[0] = true;
  for (const Edge& edge : edges_) {
    if (edge.rule != kByte) continue;
    begins[edge.low] = true;
    begins[edge.high + 1] = true;
  }
  automaton.SetClasses(begins);
}

void Automaton::SetClasses(const std::array<bool, 257>& begins) {
  class_byte_.clear();
  for (size_t byte = 0; byte < 256; ++byte) {
    if (begins[byte]) class_byte_.push_back(static_cast<uint8_t>(byte));
    class_of_[byte] = static_cast<uint8_t>(class_byte_.size() - 1);
  }
}

void AutomatonBuilder::Sort(Automaton& automaton) const {
  const size_t states = ends_.size();
  automaton.ends_ = ends_;
  automaton.first_ = first_;
  automaton.nullable_ = nullable_;
  automaton.byte_begin_.assign(states + 1, 0);
  automaton.empty_begin_ = automaton.call_begin_ = automaton.byte_begin_;
  const EdgeLists from(edges_, states, [](const Edge& e) { return e.from; });
  for (uint32_t state = 0; state < states; ++state) {
    for (const uint32_t* i = from.begin(state); i != from.end(state); ++i) {
      const Edge& edge = edges_[*i];
      if (edge.rule == kByte) {
        automaton.bytes_.push_back({edge.to, edge.low, edge.high});
      } else if (edge.rule == kEmpty) {
        automaton.empties_.push_back(edge.to);
      } else {
        automaton.calls_.push_back({edge.rule, edge.to});
      }
    }
    automaton.byte_begin_[state + 1] = static_cast<uint32_t>(automaton.bytes_.size());
    automaton.empty_begin_[state + 1] = static_cast<uint32_t>(automaton.empties_.size());
    automaton.call_begin_[state + 1] = static_cast<uint32_t>(automaton.calls_.size());
  }
}

// The first state gets an edge to a new last one, which calls the start rule too.
Automaton Automaton::AfterBlank() const {
  constexpr uint8_t kBlank = ' ';
  Automaton other = *this;
  const auto state = static_cast<uint32_t>(ends_.size());
  other.bytes_.insert(other.bytes_.begin() + byte_begin_[1], {state, kBlank, kBlank});
  for (size_t i = 1; i < other.byte_begin_.size(); ++i) ++other.byte_begin_[i];
  other.calls_.insert(other.calls_.end(), calls(begin()).begin(), calls(begin()).end());
  other.byte_begin_.push_back(static_cast<uint32_t>(other.bytes_.size()));
  other.empty_begin_.push_back(static_cast<uint32_t>(other.empties_.size()));
  other.call_begin_.push_back(static_cast<uint32_t>(other.calls_.size()));
  other.ends_.push_back(kNoRule);
  std::array<bool, 257> begins{};
  for (size_t byte = 1; byte < 256; ++byte) begins[byte] = class_of_[byte] != class_of_[byte - 1];
  begins[0] = begins[kBlank] = begins[kBlank + 1] = true;
  other.SetClasses(begins);
  return other;
}

}  // namespace linnet
