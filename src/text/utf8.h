// UTF-8: characters out of bytes that may not be text, by the rule browsers use.
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
  uint8_t bytes;  // how many it took, 0 only at the end
  bool valid;
  bool cut;  // not valid, but more bytes could make it so
};

// The character at the front of `text`. Of bytes that are none, it takes the
// longest start of a character, or one byte (WHATWG Encoding Standard, "maximal
// subpart"; Unicode 15, section 3.9).
Utf8Step NextUtf8(std::string_view text);

// The character that ends `text`, U+FFFD if it ends in none or is empty.
char32_t LastUtf8(std::string_view text);

// Appends c, which must be a scalar value.
void AppendUtf8(char32_t c, std::string& out);

// The same text with U+FFFD for all that is not UTF-8.
std::string ValidUtf8(std::string_view text);

}  // namespace linnet

#endif  // LINNET_TEXT_UTF8_H_
