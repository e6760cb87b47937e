#include "grammar/automaton_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kMostStates = 250'000;
// Rules are copied to where they are used if they are small or used once, while there is room.
constexpr uint32_t kSmall = 200, kUsedOnce = 20'000;
constexpr size_t kRoomForCopies = 100'000;
// The part of a repetition is called if its copies take more states than this.
constexpr uint64_t kManyCopies = 400;
constexpr uint32_t kWorthACall = 16;
// Of expressions within rules that are copied; bounds the stack.
constexpr size_t kDeepestCopy = 600;

using Values = std::vector<CharSet::Range>;  // of the bits in the bytes that are left

// Builds the states for the last bytes of characters; equal rests share them.
template <class NewState, class Read>
class Utf8Rests {
 public:
  Utf8Rests(NewState new_state, Read read) : new_state_(new_state), read_(read) {}

  // Edges from `from`, by one byte with the bits of `mark` and then `rest` bytes, for all values.
  void AddLead(uint32_t from, const Values& values, uint32_t rest, uint32_t mark) {
    const auto block = static_cast<char32_t>(char32_t{1} << (6 * rest));
    char32_t first = 0, last = 0;  // of the bytes that lead to `to`
    uint32_t to = 0;
    size_t at = 0;
    Values inside;
    for (char32_t lead = 0; at < values.size(); ++lead) {
      lead = std::max<char32_t>(lead, values[at].first / block);
      inside.clear();
      for (size_t i = at; i < values.size() && values[i].first < (lead + 1) * block; ++i) {
        inside.push_back(
            {std::max<char32_t>(values[i].first, lead * block) - lead * block,
             std::min<char32_t>(values[i].last, (lead + 1) * block - 1) - lead * block});
        if (values[i].last < (lead + 1) * block) at = i + 1;
      }
      const uint32_t next = Rest(inside, rest);
      if (to == next && last + 1 == lead) {
        last = lead;
        continue;
      }
      if (to != 0) Emit(from, first, last, mark, to);
      first = last = lead;
      to = next;
    }
    if (to != 0) Emit(from, first, last, mark, to);
  }

 private:
  void Emit(uint32_t from, char32_t first, char32_t last, uint32_t mark, uint32_t to) {
    read_(from, static_cast<uint8_t>(mark | first), static_cast<uint8_t>(mark | last), to);
  }

  uint32_t Rest(const Values& values, uint32_t rest) {
    if (rest == 0) return 1;
    const auto [at, fresh] = rests_.emplace(std::pair(rest, values), 0);
    if (fresh) {
      const uint32_t state = new_state_();
      at->second = state;
      AddLead(state, values, rest - 1, 0x80);
    }
    return at->second;
  }

  NewState new_state_;
  Read read_;
  std::map<std::pair<uint32_t, Values>, uint32_t> rests_;
};

}  // namespace

Automaton::Automaton(const Rules& rules, uint32_t start, bool may_match_nothing) {
  if (!AutomatonBuilder(rules, start).Build(*this) && !may_match_nothing) {
    throw Error(ErrorKind::kBadInput, "no text matches");
  }
}

AutomatonBuilder::AutomatonBuilder(const Rules& rules, uint32_t start)
    : rules_(rules), order_(rules, start), start_(start) {
  bodies_.reserve(rules.rules());
  for (uint32_t rule = 0; rule < rules.rules(); ++rule) bodies_.push_back(rules.body(rule));
  first_.assign(bodies_.size(), kByte);
  last_ = first_;
}

uint32_t AutomatonBuilder::NewState() {
  if (ends_.size() == kMostStates) {
    throw Error(
        ErrorKind::kBadInput,
        fmt::format("too large: needs more than {} states; use fewer or smaller repetitions",
                    kMostStates));
  }
  ends_.push_back(Automaton::kNoRule);
  return static_cast<uint32_t>(ends_.size() - 1);
}

void AutomatonBuilder::Read(uint32_t from, uint8_t low, uint8_t high, uint32_t to) {
  edges_.push_back({from, to, kByte, low, high});
}

void AutomatonBuilder::Join(uint32_t from, uint32_t to) {
  if (from != to) edges_.push_back({from, to, kEmpty, 0, 0});
}

void AutomatonBuilder::Call(uint32_t from, uint32_t rule, uint32_t to) {
  FirstOf(rule);
  edges_.push_back({from, to, rule, 0, 0});
}

uint32_t AutomatonBuilder::FirstOf(uint32_t rule) {
  if (first_[rule] == kByte) {
    first_[rule] = NewState();
    last_[rule] = NewState();
    ends_[last_[rule]] = rule;
    waiting_.push_back(rule);
  }
  return first_[rule];
}

uint32_t AutomatonBuilder::RuleOf(Id id) {
  if (rules_.at(id).kind == Rules::Kind::kRule) return rules_.at(id).index;
  const auto [at, fresh] = own_rule_.emplace(id, static_cast<uint32_t>(bodies_.size()));
  if (fresh) {
    bodies_.push_back(id);
    first_.push_back(kByte);
    last_.push_back(kByte);
  }
  return at->second;
}

void AutomatonBuilder::Add(Id id, uint32_t from, uint32_t to, Tail* tail) {
  const Rules::Expression& e = rules_.at(id);
  ++depth_;
  switch (e.kind) {
    case Rules::Kind::kNothing:
      break;
    case Rules::Kind::kEmpty:
      Join(from, to);
      break;
    case Rules::Kind::kBytes: {
      const std::string& bytes = rules_.bytes(e);
      for (size_t i = 0; i < bytes.size(); ++i) {
        const uint32_t next = i + 1 == bytes.size() ? to : NewState();
        Read(from, static_cast<uint8_t>(bytes[i]), static_cast<uint8_t>(bytes[i]), next);
        from = next;
      }
      break;
    }
    case Rules::Kind::kByte:
      Read(from, e.low, e.high, to);
      break;
    case Rules::Kind::kChars: {
      const Fragment& fragment = FragmentOf(e);
      std::vector<uint32_t> states = {from, to};
      states.reserve(fragment.states);
      while (states.size() < fragment.states) states.push_back(NewState());
      for (const Edge& edge : fragment.edges) {
        Read(states[edge.from], edge.low, edge.high, states[edge.to]);
      }
      break;
    }
    case Rules::Kind::kSequence: {
      const std::vector<Id>& parts = rules_.parts(e);
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const uint32_t next = NewState();
        Add(parts[i], from, next, nullptr);
        from = next;
      }
      Add(parts.back(), from, to, tail);
      break;
    }
    case Rules::Kind::kChoice:
      for (const Id part : rules_.parts(e)) Add(part, from, to, tail);
      break;
    case Rules::Kind::kRepeat:
      AddRepeat(e, from, to, tail);
      break;
    case Rules::Kind::kGraph:
      AddGraph(e, from, to, tail);
      break;
    case Rules::Kind::kRule:
      AddRule(e.index, from, to, tail);
      break;
  }
  --depth_;
}

void AutomatonBuilder::AddRepeat(const Rules::Expression& e, uint32_t from, uint32_t to,
                                 Tail* tail) {
  const Id part = rules_.parts(e).front();
  const bool endless = e.most == Rules::kNoLimit;
  if (!endless && e.most == 1) {
    Join(from, to);
    return Add(part, from, to, tail);
  }
  const uint32_t size = order_.SizeOf(part);
  const bool called =
      size >= kWorthACall && uint64_t{size} * (endless ? e.least : e.most) > kManyCopies;
  const auto add = [&](uint32_t begin, uint32_t end) {
    called ? Call(begin, RuleOf(part), end) : Add(part, begin, end, nullptr);
  };
  if (endless && e.least == 0) {
    const uint32_t loop = NewState();
    Join(from, loop);
    add(loop, loop);
    return Join(loop, to);
  }
  const uint32_t apart = endless ? e.least - 1 : e.least;
  for (uint32_t i = 0; i < apart; ++i) {
    const uint32_t next = !endless && i + 1 == e.most ? to : NewState();
    add(from, next);
    from = next;
  }
  if (endless) {
    const uint32_t begin = NewState(), end = NewState();
    Join(from, begin);
    add(begin, end);
    Join(end, begin);
    return Join(end, to);
  }
  for (uint32_t i = e.least; i < e.most; ++i) {
    const uint32_t next = i + 1 == e.most ? to : NewState();
    Join(from, to);
    add(from, next);
    from = next;
  }
}

void AutomatonBuilder::AddGraph(const Rules::Expression& e, uint32_t from, uint32_t to,
                                Tail* tail) {
  const std::vector<Rules::Edge>& edges = rules_.edges(e);
  std::vector<uint32_t> states = {from, to};
  states.reserve(e.nodes);
  while (states.size() < e.nodes) states.push_back(NewState());
  // States that others share must not be entered again, or left.
  if (std::any_of(edges.begin(), edges.end(), [](const auto& x) { return x.to == 0; })) {
    Join(from, states[0] = NewState());
  }
  if (std::any_of(edges.begin(), edges.end(), [](const auto& x) { return x.from == 1; })) {
    Join(states[1] = NewState(), to);
  }
  for (const auto& [begin, label, end] : edges) {
    Add(label, states[begin], states[end], states[end] == to ? tail : nullptr);
  }
}

void AutomatonBuilder::AddRule(uint32_t rule, uint32_t from, uint32_t to, Tail* tail) {
  if (tail != nullptr && tail->contains(rule)) return Join(from, tail->at(rule));
  const bool room = ends_.size() < kRoomForCopies && depth_ < kDeepestCopy;
  const uint32_t size = order_.size(rule);
  if (!order_.recursive(rule)) {
    if (room && (size <= kSmall || (order_.uses(rule) == 1 && size <= kUsedOnce))) {
      return Add(bodies_[rule], from, to, tail);
    }
  } else if (tail != nullptr && room && order_.SizeOf(bodies_[rule]) <= kSmall) {
    // A copy for which a recursion at the end is a loop.
    const uint32_t begin = NewState();
    Join(from, begin);
    const auto at = tail->emplace(rule, begin).first;
    Add(bodies_[rule], begin, to, tail);
    tail->erase(at);
    return;
  }
  Call(from, rule, to);
}

const AutomatonBuilder::Fragment& AutomatonBuilder::FragmentOf(const Rules::Expression& e) {
  const auto [at, fresh] = fragments_.emplace(e.index, Fragment());
  Fragment& fragment = at->second;
  if (!fresh) return fragment;
  const auto new_state = [&] { return fragment.states++; };
  const auto read = [&](uint32_t from, uint8_t low, uint8_t high, uint32_t to) {
    fragment.edges.push_back({from, to, kByte, low, high});
  };
  // Characters by the number of their bytes.
  constexpr std::array<char32_t, 5> kEnds = {0, 0x80, 0x800, 0x10000, 0x110000};
  constexpr std::array<uint8_t, 4> kMarks = {0, 0xC0, 0xE0, 0xF0};
  Utf8Rests rests(new_state, read);
  for (uint32_t rest = 0; rest < 4; ++rest) {
    const CharSet part = rules_.chars(e).And(CharSet(kEnds[rest], kEnds[rest + 1] - 1));
    if (part.empty()) continue;
    if (rest == 0) {
      for (const auto& [first, last] : part.ranges()) {
        read(0, static_cast<uint8_t>(first), static_cast<uint8_t>(last), 1);
      }
    } else {
      rests.AddLead(0, part.ranges(), rest, kMarks[rest]);
    }
  }
  return fragment;
}

bool AutomatonBuilder::Build(Automaton& automaton) {
  const uint32_t begin = NewState(), end = NewState();
  Call(begin, start_, end);
  while (!waiting_.empty()) {
    const uint32_t rule = waiting_.back();
    waiting_.pop_back();
    Tail tail = {{rule, first_[rule]}};
    Add(bodies_[rule], first_[rule], last_[rule], &tail);
  }
  FindNullable();
  FindLive();
  SkipEmptyStates();
  FindClasses(automaton);
  Sort(automaton);
  return live_[begin] != 0;
}

}  // namespace linnet
