// AddedTokens: the tokens of a tokenizer.json that are found in the text before any word is split.
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
  std::string content;       // as it is looked for
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the blanks before it
  bool rstrip = false;       // and after it
};

// A stretch of text: an added token, or id -1 for what is to be split further.
struct TextPiece {
  int32_t id;
  std::string_view text;
};

// Immutable; owns the tokens. Contents must be valid UTF-8, not empty, and each
// only once.
class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Cuts valid UTF-8 at the leftmost, then longest, tokens; no piece is empty.
  std::vector<TextPiece> Split(std::string_view text) const;

 private:
  std::vector<AddedToken> tokens_;
  ByteTrie trie_;  // to indices of tokens_
};

}  // namespace linnet

#endif  // LINNET_TEXT_ADDED_TOKENS_H_
