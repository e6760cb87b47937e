// Unicode properties and normalization, based on utf8proc.
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

// Normalization form C of valid UTF-8 by Unicode 9, the version of the tokenizers library.
// Characters added later are not changed or moved. Takes O(n log n) time for any text.
std::string ToNfc9(std::string_view text);

}  // namespace linnet

#endif  // LINNET_TEXT_UNICODE_H_
