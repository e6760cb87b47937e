// PositionTable: the positions that texts reached in a grammar, and their masks, computed once.
#ifndef LINNET_GRAMMAR_POSITION_TABLE_H_
#define LINNET_GRAMMAR_POSITION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/token_trie.h"

namespace linnet {

// Earley's algorithm on the states of an Automaton. What was read so far is a set of items: a
// state, and the position at which its rule was called. A set is known by its items right after a
// byte, whose calls lie all in earlier positions; equal sets are one position, so a text in a loop
// or a list returns to positions that it has been to, and a table of transitions between them
// replaces the algorithm. Positions are never removed: a table that became large is left by Move.
//
// Keeps references to automaton and trie. Functions lock the table, except where they say
// otherwise.
class PositionTable {
 public:
  static constexpr uint32_t kDead = 0;   // not the start of any text
  static constexpr uint32_t kStart = 1;  // nothing was read
  using Mask = std::shared_ptr<const std::vector<uint64_t>>;

  // Without a trie there are no masks.
  PositionTable(const Automaton& automaton, std::shared_ptr<const TokenTrie> trie);

  // The position after the bytes. Throws Error kBadInput if that takes too much work.
  uint32_t After(uint32_t position, std::string_view bytes);
  // Bit per token that may follow. Throws as After does.
  Mask MaskAt(uint32_t position);
  bool complete(uint32_t position);  // the text may end
  bool has_more(uint32_t position);  // a byte may follow

  // Whether the table holds more than it should keep.
  bool large();
  // The same position in another table of the same automaton.
  uint32_t Move(uint32_t position, PositionTable& to);

  const std::shared_ptr<const TokenTrie>& trie() const { return trie_; }

 private:
  struct Item {
    uint32_t state, origin;
    auto operator<=>(const Item&) const = default;  // NOLINT(modernize-use-nullptr): its 0
  };
  // An item that waits for the end of a rule; then it goes on in `item.state`.
  struct Waiting {
    uint32_t rule;
    Item item;
  };
  template <class T>
  struct Part {
    uint32_t begin = 0, size = 0;
    std::span<const T> of(const std::vector<T>& all) const {
      return std::span(all).subspan(begin, size);
    }
  };
  struct Position {
    Part<Item> kernel, reading;  // after the last byte; all that read a byte
    Part<Waiting> waiting;       // sorted by rule
    Mask mask;
    bool expanded = false, complete = false;
  };
  static constexpr uint32_t kUnknown = ~uint32_t{0};
  static constexpr uint32_t kHere = ~uint32_t{0};  // the origin of items called in this position

  uint32_t Intern(std::vector<Item>& kernel);
  void Expand(uint32_t position);
  uint32_t Next(uint32_t position, uint8_t byte);
  uint32_t Compute(uint32_t position, uint8_t byte_class);
  void Fill(uint32_t position, std::vector<uint64_t>& mask);
  void Spend(size_t work);
  size_t bytes() const;

  const Automaton& automaton_;
  const std::shared_ptr<const TokenTrie> trie_;
  std::mutex mutex_;
  std::vector<Position> positions_;
  std::vector<Item> items_;
  std::vector<Waiting> waiting_;
  std::vector<uint32_t> next_;  // per position and class of bytes
  std::unordered_multimap<uint64_t, uint32_t> by_kernel_;
  size_t masks_ = 0;
  size_t work_ = 0;  // left for this call

  // Scratch of Expand and Compute.
  class ItemSet;
  std::vector<Item> open_, kernel_, reading_;
  std::vector<Waiting> calls_;
  std::vector<uint64_t> seen_;  // an open hash table of items, with the number of its use
  std::vector<uint32_t> path_;
};

// The tables of one grammar, one for each trie that is in use. Thread-safe.
class GrammarMemory {
 public:
  // A table that is not large; the former one lives on with the constraints that use it.
  std::shared_ptr<PositionTable> TableFor(const Automaton& automaton,
                                          const std::shared_ptr<const TokenTrie>& trie);

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<PositionTable>> tables_;  // the last used at the end
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_POSITION_TABLE_H_
