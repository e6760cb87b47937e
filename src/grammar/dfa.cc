#include "grammar/dfa.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "grammar/automaton.h"
#include "grammar/position_table.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kMostDfaStates = 20'000, kMostTransitions = 1'000'000;

void CheckSize(size_t states, size_t classes) {
  if (states <= kMostDfaStates && states * classes <= kMostTransitions) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("too large: what must hold at once needs more than {} states",
                          std::min(kMostDfaStates, kMostTransitions / classes)));
}

}  // namespace

Dfa::Dfa(const Rules& rules, uint32_t rule) {
  const Automaton automaton(rules, rule, true);
  // A language that is not regular has no end of positions.
  PositionTable table(automaton, nullptr);
  classes_ = automaton.classes();
  for (size_t byte = 0; byte < 256; ++byte) {
    class_of_[byte] = automaton.class_of(static_cast<uint8_t>(byte));
  }
  std::unordered_map<uint32_t, uint32_t> states = {{PositionTable::kDead, 0},
                                                   {PositionTable::kStart, 1}};
  std::vector<uint32_t> positions = {PositionTable::kDead, PositionTable::kStart};
  for (size_t state = 0; state < positions.size(); ++state) {
    const uint32_t position = positions[state];
    belongs_.push_back(position != PositionTable::kDead && table.complete(position) ? 1 : 0);
    for (size_t c = 0; c < classes_; ++c) {
      const auto byte = static_cast<char>(automaton.class_byte(c));
      const uint32_t next = position == PositionTable::kDead
                                ? PositionTable::kDead
                                : table.After(position, std::string_view(&byte, 1));
      const auto [at, fresh] = states.emplace(next, static_cast<uint32_t>(positions.size()));
      if (fresh) positions.push_back(next);
      next_.push_back(at->second);
    }
    CheckSize(positions.size(), classes_);
  }
}

Dfa Dfa::Of(const std::function<Rules::Id(Rules&)>& add) {
  Rules rules;
  const uint32_t rule = rules.NewRule();
  rules.SetRule(rule, add(rules));
  return Dfa(rules, rule);
}

template <class Belongs>
Dfa Dfa::Product(const Dfa& other, const Belongs& belongs) const {
  Dfa both;
  std::map<std::pair<uint8_t, uint8_t>, uint8_t> classes;
  std::vector<std::pair<uint8_t, uint8_t>> parts;
  for (size_t byte = 0; byte < 256; ++byte) {
    const std::pair part = {class_of_[byte], other.class_of_[byte]};
    const auto [at, fresh] = classes.emplace(part, static_cast<uint8_t>(parts.size()));
    if (fresh) parts.push_back(part);
    both.class_of_[byte] = at->second;
  }
  both.classes_ = parts.size();
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> states = {{{0, 0}, 0}, {{1, 1}, 1}};
  std::vector<std::pair<uint32_t, uint32_t>> pairs = {{0, 0}, {1, 1}};
  for (size_t state = 0; state < pairs.size(); ++state) {
    const auto [a, b] = pairs[state];
    both.belongs_.push_back(belongs(belongs_[a] != 0, other.belongs_[b] != 0) ? 1 : 0);
    for (const auto& [class_a, class_b] : parts) {
      std::pair next = {next_[a * classes_ + class_a], other.next_[b * other.classes_ + class_b]};
      // What the first does not contain, neither operation does.
      if (next.first == 0) next.second = 0;
      const auto [at, fresh] = states.emplace(next, static_cast<uint32_t>(pairs.size()));
      if (fresh) pairs.push_back(next);
      both.next_.push_back(at->second);
    }
    CheckSize(pairs.size(), parts.size());
  }
  return both;
}

Dfa Dfa::And(const Dfa& other) const {
  return Product(other, [](bool a, bool b) { return a && b; });
}

Dfa Dfa::Minus(const Dfa& other) const {
  return Product(other, [](bool a, bool b) { return a && !b; });
}

Dfa Dfa::Shortest() const {
  Dfa shortest = *this;
  for (size_t state = 0; state < belongs_.size(); ++state) {
    if (belongs_[state] == 0) continue;
    std::fill_n(shortest.next_.begin() + static_cast<ptrdiff_t>(state * classes_), classes_, 0);
  }
  return shortest;
}

bool Dfa::Contains(std::string_view text) const {
  uint32_t state = 1;
  for (const char byte : text) state = Next(state, static_cast<uint8_t>(byte));
  return belongs_[state] != 0;
}

bool Dfa::empty() const {
  std::vector<uint32_t> open = {1};
  std::vector<uint8_t> seen(belongs_.size(), 0);
  seen[1] = 1;
  while (!open.empty()) {
    const uint32_t state = open.back();
    open.pop_back();
    if (belongs_[state] != 0) return false;
    for (size_t c = 0; c < classes_; ++c) {
      const uint32_t next = next_[state * classes_ + c];
      if (std::exchange(seen[next], 1) == 0) open.push_back(next);
    }
  }
  return true;
}

Rules::Id Dfa::AddTo(Rules& rules) const {
  if (empty()) return rules.Nothing();
  std::map<std::pair<size_t, size_t>, Rules::Id> labels;
  std::vector<Rules::Edge> edges;
  const auto node = [](uint32_t state) { return state == 1 ? 0 : state; };
  for (uint32_t state = 1; state < belongs_.size(); ++state) {
    if (belongs_[state] != 0) edges.push_back({node(state), rules.Empty(), 1});
    for (size_t first = 0, last = 0; first < 256; first = last + 1) {
      const uint32_t next = Next(state, static_cast<uint8_t>(first));
      for (last = first; last < 255 && Next(state, static_cast<uint8_t>(last + 1)) == next;) ++last;
      if (next == 0) continue;
      const auto [at, fresh] = labels.emplace(std::pair(first, last), 0);
      if (fresh) at->second = rules.Byte(static_cast<uint8_t>(first), static_cast<uint8_t>(last));
      edges.push_back({node(state), at->second, node(next)});
    }
  }
  return rules.Graph(static_cast<uint32_t>(belongs_.size()), std::move(edges));
}

}  // namespace linnet
