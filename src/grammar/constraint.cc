#include "grammar/constraint.h"

#include <utility>

#include "base/check.h"
#include "grammar/position_table.h"

namespace linnet {

Constraint::Constraint(std::shared_ptr<const Grammar> grammar,
                       std::shared_ptr<const TokenTrie> trie)
    : grammar_(std::move(grammar)),
      trie_(std::move(trie)),
      table_(grammar_->memory().TableFor(grammar_->automaton(), trie_)),
      position_(PositionTable::kStart) {}

void Constraint::LeaveLargeTable() {
  if (!table_->large()) return;
  auto table = grammar_->memory().TableFor(grammar_->automaton(), trie_);
  if (table == table_) return;
  position_ = table_->Move(position_, *table);
  table_ = std::move(table);
}

std::span<const uint64_t> Constraint::Mask(std::span<const int32_t> ends,
                                           std::span<const int32_t> also) {
  LeaveLargeTable();
  mask_ = table_->MaskAt(position_);
  const bool ending = may_end();
  if (ends.empty() && (also.empty() || !ending)) return *mask_;
  with_ends_ = *mask_;
  const auto set = [this, ending](int32_t id) {
    if (id < 0 || static_cast<size_t>(id) >= trie_->vocab()) return;
    uint64_t& word = with_ends_[static_cast<size_t>(id) / 64];
    const uint64_t bit = uint64_t{1} << id % 64;
    word = ending ? word | bit : word & ~bit;
  };
  if (ending) {
    for (const int32_t id : also) set(id);
  }
  for (const int32_t id : ends) set(id);
  return with_ends_;
}

bool Constraint::Allows(int32_t token) {
  if (token < 0 || static_cast<size_t>(token) >= trie_->vocab()) return false;
  const std::string_view bytes = trie_->bytes(token);
  return !bytes.empty() && table_->After(position_, bytes) != PositionTable::kDead;
}

bool Constraint::may_end() const { return table_->complete(position_); }

bool Constraint::must_end() const { return may_end() && !table_->has_more(position_); }

void Constraint::Accept(int32_t token) {
  LINNET_CHECK(token >= 0 && static_cast<size_t>(token) < trie_->vocab());
  const std::string_view bytes = trie_->bytes(token);
  LINNET_CHECK(!bytes.empty() && AcceptBytes(bytes));
}

bool Constraint::AcceptBytes(std::string_view bytes) {
  LeaveLargeTable();
  const uint32_t next = table_->After(position_, bytes);
  if (next == PositionTable::kDead) return false;
  position_ = next;
  return true;
}

}  // namespace linnet
