// TokenTrie: the byte strings of a tokenizer's tokens as a tree, to test them all against a
// grammar.
#ifndef LINNET_GRAMMAR_TOKEN_TRIE_H_
#define LINNET_GRAMMAR_TOKEN_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "linnet/tokenizer.h"

namespace linnet {

// Build it once per tokenizer; it keeps copies only. Immutable: shared by threads.
class TokenTrie {
 public:
  // A byte string that is a token or starts one. Nodes are stored depth first, without the root.
  struct Node {
    uint32_t skip;   // the next node that is not below this one
    int32_t token;   // the first of the tokens with these bytes, or -1
    uint16_t depth;  // the number of bytes, less one
    uint8_t byte;    // the last one
  };

  // For models with `vocab` logits: larger ids are left out, as are ids without bytes and tokens of
  // more than 65535 bytes.
  TokenTrie(const Tokenizer& tokenizer, size_t vocab);

  std::span<const Node> nodes() const { return nodes_; }
  // The next token with the same bytes, or -1.
  int32_t next_equal(int32_t token) const { return equal_.empty() ? -1 : equal_[token]; }
  std::string_view bytes(int32_t token) const {
    return std::string_view(text_).substr(begin_[token], begin_[token + 1] - begin_[token]);
  }
  // The tokens whose bytes begin with the text, and those that are only the begin of it.
  struct Relatives {
    std::vector<int32_t> longer, shorter;
  };
  Relatives RelativesOf(std::string_view text) const;

  size_t vocab() const { return vocab_; }              // ids are below
  size_t words() const { return (vocab_ + 63) / 64; }  // of a mask, one bit per id
  size_t depth() const { return depth_; }              // of the longest token

 private:
  std::vector<Node> nodes_;
  std::vector<int32_t> equal_;  // empty if no two tokens are equal
  std::vector<size_t> begin_;
  std::string text_;
  size_t vocab_, depth_ = 0;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_TOKEN_TRIE_H_
