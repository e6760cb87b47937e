// Constraint: the position of one text in a grammar, and which tokens may come next.
#ifndef LINNET_GRAMMAR_CONSTRAINT_H_
#define LINNET_GRAMMAR_CONSTRAINT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/token_trie.h"

namespace linnet {

class PositionTable;

// Copyable: a copy is a fork of the text. Not thread-safe, but constraints of one grammar may run
// on any threads; they share the masks that were computed.
//
// A text that only ever takes allowed tokens is always the start of some complete text, if each
// byte is a token of its own, as in the released vocabularies.
class Constraint {
 public:
  // At the start of a text.
  Constraint(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

  // The tokens that may come next: bit id % 64 of word id / 64, trie->words() words. Ids without
  // bytes are never among them. Those of `ends`, which end the text, are so if and only if
  // may_end(); those of `also` are so too if may_end(). Valid until the next call that is not
  // const. Throws Error kBadInput if the grammar is so ambiguous that this takes too much work; the
  // constraint is then unchanged.
  std::span<const uint64_t> Mask(std::span<const int32_t> ends = {},
                                 std::span<const int32_t> also = {});
  // Whether the grammar allows the token.
  bool Allows(int32_t token);

  bool may_end() const;   // the text so far is complete
  bool must_end() const;  // and nothing may follow

  // Goes on by a token of Mask(), not one of `ends`. Throws as Mask() does.
  void Accept(int32_t token);
  // The same for text that was not sampled. Returns false, and changes nothing, if the grammar does
  // not allow it.
  bool AcceptBytes(std::string_view bytes);

  const TokenTrie& trie() const { return *trie_; }

 private:
  void LeaveLargeTable();

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const TokenTrie> trie_;
  std::shared_ptr<PositionTable> table_;
  uint32_t position_ = 0;
  std::shared_ptr<const std::vector<uint64_t>> mask_;
  std::vector<uint64_t> with_ends_;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_CONSTRAINT_H_
