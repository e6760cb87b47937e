// Splits text into the words for byte-level BPE, by GPT-2's regular expression.
#ifndef LINNET_TEXT_PRETOKENIZE_H_
#define LINNET_TEXT_PRETOKENIZE_H_

#include <cstddef>
#include <string_view>

namespace linnet {

// The length in bytes of the first match of
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// in valid UTF-8. There is always a match at the front; 0 only if `text` is empty.
size_t FirstWord(std::string_view text);

}  // namespace linnet

#endif  // LINNET_TEXT_PRETOKENIZE_H_
