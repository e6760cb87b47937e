// Automaton: rules compiled to states that read bytes and call one another.
#ifndef LINNET_GRAMMAR_AUTOMATON_H_
#define LINNET_GRAMMAR_AUTOMATON_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "grammar/rules.h"

namespace linnet {

// A pushdown automaton over bytes. Each rule has a first state and a last one; between them lead
// edges that read a byte, read nothing, or read what another rule matches. Rules without recursion
// are mostly copied to where they are used, and a recursion at the end of a rule is a loop, so that
// few calls remain. From every state the rule's last one can be reached.
//
// Immutable: shared by threads.
class Automaton {
 public:
  struct ByteEdge {
    uint32_t to;
    uint8_t low, high;
  };
  struct Call {
    uint32_t rule, to;
  };
  static constexpr uint32_t kNoRule = ~uint32_t{0};

  // Throws Error kBadInput if that takes too many states, or if no text matches and that is not
  // allowed.
  Automaton(const Rules& rules, uint32_t start, bool may_match_nothing = false);

  std::span<const ByteEdge> bytes(uint32_t state) const { return Part(bytes_, byte_begin_, state); }
  std::span<const uint32_t> empties(uint32_t state) const {
    return Part(empties_, empty_begin_, state);
  }
  std::span<const Call> calls(uint32_t state) const { return Part(calls_, call_begin_, state); }
  // The rule that ends in this state, or kNoRule.
  uint32_t ends(uint32_t state) const { return ends_[state]; }
  uint32_t first(uint32_t rule) const { return first_[rule]; }
  bool nullable(uint32_t rule) const { return nullable_[rule] != 0; }

  uint32_t begin() const { return 0; }  // the start rule is called from here
  uint32_t end() const { return 1; }    // and leads there

  // Bytes of one class have the same edges everywhere.
  size_t classes() const { return class_byte_.size(); }
  uint8_t class_of(uint8_t byte) const { return class_of_[byte]; }
  uint8_t class_byte(size_t c) const { return class_byte_[c]; }  // one of them

  size_t states() const { return ends_.size(); }
  size_t calls() const { return calls_.size(); }

  // The same with an optional blank before the text.
  Automaton AfterBlank() const;

  // A text ends as soon as it is complete, if it is not empty.
  bool ends_early = false;

 private:
  friend class AutomatonBuilder;

  void SetClasses(const std::array<bool, 257>& begins);  // whether a class begins with each byte

  template <class T>
  static std::span<const T> Part(const std::vector<T>& all, const std::vector<uint32_t>& begin,
                                 uint32_t state) {
    return std::span(all).subspan(begin[state], begin[state + 1] - begin[state]);
  }

  std::vector<ByteEdge> bytes_;
  std::vector<uint32_t> empties_;
  std::vector<Call> calls_;
  std::vector<uint32_t> byte_begin_, empty_begin_, call_begin_, ends_, first_;
  std::vector<uint8_t> nullable_;
  std::array<uint8_t, 256> class_of_{};
  std::vector<uint8_t> class_byte_;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_AUTOMATON_H_
