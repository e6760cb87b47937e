// Unicode properties and normalization, over utf8proc.
#ifndef LINNET_TEXT_UNICODE_H_
#define LINNET_TEXT_UNICODE_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet {

enum class CharClass : uint8_t { kLetter, kNumber, kSpace, kOther };

// As of Unicode 16: \p{L}, \p{N}, \s (White_Space), or none of them.
CharClass ClassOf(char32_t c);

// \w of Rust's regular expressions: alphabetic, mark, decimal digit, connector
// punctuation, joiner.
bool IsWordChar(char32_t c);

// Normalization form C of valid UTF-8 as of Unicode 9, where the tokenizers
// library stands: later characters stay as and where they are. Time n log n
// whatever the text.
std::string ToNfc9(std::string_view text);

}  // namespace linnet

#endif  // LINNET_TEXT_UNICODE_H_
