// Python string and bytes literals, as used in vocabulary files, one per line.
#ifndef LINNET_TEXT_PYTHON_LITERAL_H_
#define LINNET_TEXT_PYTHON_LITERAL_H_

#include <string>
#include <string_view>

namespace linnet {

// The bytes of '…', "…" or b'…'; a string is converted to UTF-8. Supports all of Python's escapes
// except \N{…}; an unknown escape keeps its backslash, as in Python. Throws Error kBadInput that
// says what is wrong, without a position.
std::string ParsePythonLiteral(std::string_view literal);

// A one-line literal for any bytes: '…' for UTF-8, with characters beyond U+00A0 unescaped, or b'…'
// if the bytes are not UTF-8.
std::string FormatPythonLiteral(std::string_view bytes);

}  // namespace linnet

#endif  // LINNET_TEXT_PYTHON_LITERAL_H_
