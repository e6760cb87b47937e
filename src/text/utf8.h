// UTF-8: decodes characters from bytes that may be invalid, by the rule browsers use.
#ifndef LINNET_TEXT_UTF8_H_
#define LINNET_TEXT_UTF8_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet {

inline constexpr char32_t kReplacement = 0xFFFD;

// One step through a byte string.
struct Utf8Step {
  char32_t c;     // U+FFFD if the bytes are not a character
  uint8_t bytes;  // bytes used, 0 only at the end
  bool valid;
  bool cut;  // invalid, but more bytes could complete it
};

// The first character of `text`. For invalid bytes it takes the longest valid prefix of a
// character, or one byte (WHATWG Encoding Standard, "maximal subpart"; Unicode 15, section 3.9).
Utf8Step NextUtf8(std::string_view text);

// The last character of `text`; U+FFFD if that is invalid or `text` is empty.
char32_t LastUtf8(std::string_view text);

// Appends c, which must be a scalar value.
void AppendUtf8(char32_t c, std::string& out);

// `text` after the byte order mark, if it starts with one.
std::string_view WithoutByteOrderMark(std::string_view text);

// The same text with invalid UTF-8 replaced by U+FFFD.
std::string ValidUtf8(std::string_view text);

}  // namespace linnet

#endif  // LINNET_TEXT_UTF8_H_
