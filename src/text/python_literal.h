// A Python string or bytes literal, as vocabulary files hold one a line.
#ifndef LINNET_TEXT_PYTHON_LITERAL_H_
#define LINNET_TEXT_PYTHON_LITERAL_H_

#include <string>
#include <string_view>

namespace linnet {

// The bytes that '…', "…" or b'…' stands for, a string as UTF-8. Knows every
// escape of Python but \N{…}; one Python does not know keeps its backslash.
// Throws Error kBadInput that says what is wrong, without a place.
std::string ParsePythonLiteral(std::string_view literal);

// A literal for any bytes, on one line: '…' of their characters, those beyond U+00A0 as they are,
// or b'…' if they are not UTF-8.
std::string FormatPythonLiteral(std::string_view bytes);

}  // namespace linnet

#endif  // LINNET_TEXT_PYTHON_LITERAL_H_
