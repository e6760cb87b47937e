#include "grammar/position_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Items that one call may look at: about a tenth of a second. Grammars in use need a hundredth.
constexpr size_t kMostWork = 5'000'000;
// Bytes of a table that is left at the next call, and beyond which a call fails.
constexpr size_t kLargeTable = size_t{32} << 20, kLargestTable = size_t{128} << 20;
constexpr size_t kTablesOfOneGrammar = 4;

uint64_t Mixed(uint64_t x) {
  x ^= x >> 32;
  x *= 0x9E3779B97F4A7C15u;
  return x ^ x >> 29;
}

}  // namespace

// The items that Expand has seen: an open hash table that is cleared for each use.
class PositionTable::ItemSet {
 public:
  explicit ItemSet(std::vector<uint64_t>& slots) : slots_(slots) { slots_.assign(64, kFree); }

  // False if it was there.
  bool Insert(Item item) {
    if (4 * ++count_ > 3 * slots_.size()) Grow();
    return Place(Key(item));
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};
  static uint64_t Key(Item item) { return uint64_t{item.state} << 32 | item.origin; }

  bool Place(uint64_t key) {
    size_t at = Mixed(key) & (slots_.size() - 1);
    for (; slots_[at] != kFree; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at] == key) return false;
    }
    slots_[at] = key;
    return true;
  }

  void Grow() {
    const std::vector<uint64_t> old = slots_;
    slots_.assign(2 * old.size(), kFree);
    for (const uint64_t key : old) {
      if (key != kFree) Place(key);
    }
  }

  std::vector<uint64_t>& slots_;
  size_t count_ = 0;
};

PositionTable::PositionTable(const Automaton& automaton, std::shared_ptr<const TokenTrie> trie)
    : automaton_(automaton), trie_(std::move(trie)) {
  positions_.resize(1);  // kDead
  positions_[kDead].expanded = true;
  next_.assign(automaton_.classes(), kDead);
  kernel_ = {{automaton_.begin(), kDead}};
  LINNET_CHECK(Intern(kernel_) == kStart);
  work_ = kMostWork;
  Expand(kStart);
}

void PositionTable::Spend(size_t work) {
  if (work_ < work) {
    throw Error(ErrorKind::kBadInput,
                "the grammar is too ambiguous to be followed: it allows the text in more ways than "
                "can be tried; make it smaller");
  }
  work_ -= work;
}

size_t PositionTable::bytes() const {
  return positions_.size() * (sizeof(Position) + 48) + items_.size() * sizeof(Item) +
         waiting_.size() * sizeof(Waiting) + next_.size() * sizeof(uint32_t) +
         (trie_ == nullptr ? 0 : masks_ * trie_->words() * sizeof(uint64_t));
}

uint32_t PositionTable::Intern(std::vector<Item>& kernel) {
  if (kernel.empty()) return kDead;
  std::sort(kernel.begin(), kernel.end());
  kernel.erase(std::unique(kernel.begin(), kernel.end()), kernel.end());
  uint64_t hash = kernel.size();
  for (const Item& item : kernel) {
    hash = Mixed(hash ^ (uint64_t{item.state} << 32 | item.origin));
  }
  const auto [begin, end] = by_kernel_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    const auto known = positions_[at->second].kernel.of(items_);
    if (std::equal(known.begin(), known.end(), kernel.begin(), kernel.end())) return at->second;
  }
  if (bytes() > kLargestTable) Spend(kMostWork + 1);
  const auto position = static_cast<uint32_t>(positions_.size());
  positions_.emplace_back().kernel = {static_cast<uint32_t>(items_.size()),
                                      static_cast<uint32_t>(kernel.size())};
  items_.insert(items_.end(), kernel.begin(), kernel.end());
  next_.resize(next_.size() + automaton_.classes(), kUnknown);
  by_kernel_.emplace(hash, position);
  return position;
}

// Follows edges that read nothing, calls and returns. A rule that matches the empty text returns
// when it is called: its items in this position never do.
void PositionTable::Expand(uint32_t position) {
  if (positions_[position].expanded) return;
  ItemSet seen(seen_);
  open_.clear();
  reading_.clear();
  calls_.clear();
  bool complete = false;
  const auto add = [&](Item item) {
    if (seen.Insert(item)) open_.push_back(item);
  };
  for (const Item& item : positions_[position].kernel.of(items_)) add(item);
  while (!open_.empty()) {
    const auto [state, origin] = open_.back();
    open_.pop_back();
    const auto calls = automaton_.calls(state);
    const auto empties = automaton_.empties(state);
    Spend(1 + calls.size() + empties.size());
    complete |= state == automaton_.end();
    if (!automaton_.bytes(state).empty()) reading_.push_back({state, origin});
    for (const uint32_t to : empties) add({to, origin});
    for (const auto& [rule, to] : calls) {
      calls_.push_back({rule, {to, origin}});
      add({automaton_.first(rule), kHere});
      if (automaton_.nullable(rule)) add({to, origin});
    }
    const uint32_t ended = automaton_.ends(state);
    if (ended == Automaton::kNoRule || origin == kHere) continue;
    const auto waiting = positions_[origin].waiting.of(waiting_);
    auto at = std::lower_bound(waiting.begin(), waiting.end(), ended,
                               [](const Waiting& w, uint32_t rule) { return w.rule < rule; });
    for (; at != waiting.end() && at->rule == ended; ++at) {
      Spend(1);
      add({at->item.state, at->item.origin == kHere ? origin : at->item.origin});
    }
  }
  if (automaton_.ends_early) {
    if (position == kStart) complete = false;
    if (complete) reading_.clear();
  }
  std::sort(calls_.begin(), calls_.end(), [](const Waiting& a, const Waiting& b) {
    return std::pair(a.rule, a.item) < std::pair(b.rule, b.item);
  });
  Position& p = positions_[position];
  p.reading = {static_cast<uint32_t>(items_.size()), static_cast<uint32_t>(reading_.size())};
  items_.insert(items_.end(), reading_.begin(), reading_.end());
  p.waiting = {static_cast<uint32_t>(waiting_.size()), static_cast<uint32_t>(calls_.size())};
  waiting_.insert(waiting_.end(), calls_.begin(), calls_.end());
  p.complete = complete;
  p.expanded = true;
}

uint32_t PositionTable::Compute(uint32_t position, uint8_t byte_class) {
  Expand(position);
  const uint8_t byte = automaton_.class_byte(byte_class);
  kernel_.clear();
  for (const auto& [state, origin] : positions_[position].reading.of(items_)) {
    const auto edges = automaton_.bytes(state);
    Spend(edges.size());
    for (const auto& [to, low, high] : edges) {
      if (low <= byte && byte <= high) kernel_.push_back({to, origin == kHere ? position : origin});
    }
  }
  const uint32_t next = Intern(kernel_);
  next_[position * automaton_.classes() + byte_class] = next;
  return next;
}

uint32_t PositionTable::Next(uint32_t position, uint8_t byte) {
  const uint8_t byte_class = automaton_.class_of(byte);
  const uint32_t known = next_[position * automaton_.classes() + byte_class];
  return known != kUnknown ? known : Compute(position, byte_class);
}

uint32_t PositionTable::After(uint32_t position, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  work_ = kMostWork;
  for (const char byte : bytes) {
    position = Next(position, static_cast<uint8_t>(byte));
    if (position == kDead) break;
  }
  Expand(position);  // so that what is asked about it cannot fail
  return position;
}

void PositionTable::Fill(uint32_t position, std::vector<uint64_t>& mask) {
  const auto nodes = trie_->nodes();
  const size_t classes = automaton_.classes();
  std::array<uint8_t, 256> class_of;
  for (size_t byte = 0; byte < 256; ++byte) {
    class_of[byte] = automaton_.class_of(static_cast<uint8_t>(byte));
  }
  path_.assign(trie_->depth() + 1, position);
  const uint32_t* known = next_.data();
  for (size_t i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    const uint32_t from = path_[node.depth];
    uint32_t next = known[from * classes + class_of[node.byte]];
    if (next == kUnknown) {
      next = Compute(from, class_of[node.byte]);
      known = next_.data();
    }
    if (next == kDead) {
      i = node.skip;
      continue;
    }
    path_[node.depth + 1u] = next;
    for (int32_t token = node.token; token >= 0; token = trie_->next_equal(token)) {
      mask[static_cast<size_t>(token) / 64] |= uint64_t{1} << token % 64;
    }
    ++i;
  }
}

PositionTable::Mask PositionTable::MaskAt(uint32_t position) {
  const std::lock_guard lock(mutex_);
  if (positions_[position].mask == nullptr) {
    work_ = kMostWork;
    auto mask = std::make_shared<std::vector<uint64_t>>(trie_->words());
    Fill(position, *mask);
    positions_[position].mask = std::move(mask);
    ++masks_;
  }
  return positions_[position].mask;
}

bool PositionTable::complete(uint32_t position) {
  const std::lock_guard lock(mutex_);
  work_ = kMostWork;
  Expand(position);
  return positions_[position].complete;
}

bool PositionTable::has_more(uint32_t position) {
  const std::lock_guard lock(mutex_);
  work_ = kMostWork;
  Expand(position);
  return positions_[position].reading.size > 0;
}

bool PositionTable::large() {
  const std::lock_guard lock(mutex_);
  return bytes() > kLargeTable;
}

// A position is its kernel, and the positions in which the rules of the kernel were called.
uint32_t PositionTable::Move(uint32_t position, PositionTable& to) {
  const std::scoped_lock lock(mutex_, to.mutex_);
  to.work_ = kMostWork;
  std::unordered_map<uint32_t, uint32_t> moved = {{kDead, kDead}, {kStart, kStart}};
  std::vector<uint32_t> open = {position};
  while (!open.empty()) {
    const uint32_t from = open.back();
    if (moved.contains(from)) {
      open.pop_back();
      continue;
    }
    const size_t before = open.size();
    std::vector<Item> kernel;
    for (const auto& [state, origin] : positions_[from].kernel.of(items_)) {
      const auto at = moved.find(origin);
      if (at == moved.end()) {
        open.push_back(origin);
      } else {
        kernel.push_back({state, at->second});
      }
    }
    if (open.size() > before) continue;
    const uint32_t there = to.Intern(kernel);
    to.Expand(there);  // others return to it
    moved[from] = there;
    open.pop_back();
  }
  return moved[position];
}

std::shared_ptr<PositionTable> GrammarMemory::TableFor(
    const Automaton& automaton, const std::shared_ptr<const TokenTrie>& trie) {
  const std::lock_guard lock(mutex_);
  const auto at = std::find_if(tables_.begin(), tables_.end(),
                               [&](const auto& table) { return table->trie() == trie; });
  std::shared_ptr<PositionTable> table;
  if (at != tables_.end()) {
    table = std::move(*at);
    tables_.erase(at);
  } else if (tables_.size() == kTablesOfOneGrammar) {
    tables_.erase(tables_.begin());
  }
  if (table == nullptr || table->large()) table = std::make_shared<PositionTable>(automaton, trie);
  tables_.push_back(table);
  return table;
}

}  // namespace linnet
