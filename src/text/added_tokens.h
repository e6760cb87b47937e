// AddedTokens: the tokens of a tokenizer.json that are matched before the text is split into words.
#ifndef LINNET_TEXT_ADDED_TOKENS_H_
#define LINNET_TEXT_ADDED_TOKENS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"

namespace linnet {

struct AddedToken {
  int32_t id = 0;
  std::string content;       // the text to match
  bool single_word = false;  // only if not adjacent to a word character
  bool lstrip = false;       // includes the blanks before it
  bool rstrip = false;       // and after it
};

// A piece of text: an added token, or id -1 for text to be split further.
struct TextPiece {
  int32_t id;
  std::string_view text;
};

// Immutable; owns the tokens. Contents must be valid UTF-8, not empty, and unique.
class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Splits valid UTF-8 at the leftmost, then longest, tokens; no piece is empty.
  std::vector<TextPiece> Split(std::string_view text) const;

 private:
  std::vector<AddedToken> tokens_;
  ByteTrie trie_;  // to indices of tokens_
};

}  // namespace linnet

#endif  // LINNET_TEXT_ADDED_TOKENS_H_
