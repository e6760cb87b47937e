// Tokens of the World vocabulary as GGUF files write them: bytes with Python's escapes.
#ifndef LINNET_TEXT_ESCAPED_TOKENS_H_
#define LINNET_TEXT_ESCAPED_TOKENS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "linnet/tokenizer.h"

namespace linnet {

// \t \n \r \xHH; a backslash before another character is that character.
std::string UnescapeToken(std::string_view text);
// The bytes as Python's repr writes them between the quotes.
std::string EscapeToken(std::string_view bytes);

// The World tokenizer for a list of tokens, by id. `kinds` says which of them are text: 1 (normal)
// and 4 (added by a user); all if it is empty. `name` begins messages. Throws Error kBadInput if a
// byte has no token, or two tokens are the same.
std::shared_ptr<const Tokenizer> EscapedTokenizer(std::span<const std::string> tokens,
                                                  std::span<const int32_t> kinds,
                                                  const std::string& name);

}  // namespace linnet

#endif  // LINNET_TEXT_ESCAPED_TOKENS_H_
