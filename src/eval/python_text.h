// Python's functions of strings, which decide what a prompt of lm-evaluation-harness is: on
// characters, with Unicode's blanks and letter cases.
#ifndef LINNET_EVAL_PYTHON_TEXT_H_
#define LINNET_EVAL_PYTHON_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// A row of a data set, a part of it, or a value of a template; objects keep their order.
using TaskJson = nlohmann::ordered_json;

// All texts are UTF-8; bytes that are not become U+FFFD.
std::u32string ToCharacters(std::string_view text);
std::string FromCharacters(std::u32string_view characters);
size_t CountCharacters(std::string_view text);

// str.isspace() of one character.
bool IsPythonSpace(char32_t c);

// str.strip, lstrip and rstrip: of blanks, or of the characters in `chars` if that is not empty.
std::string StripLeft(std::string_view text, std::string_view chars = {});
std::string StripRight(std::string_view text, std::string_view chars = {});
std::string Strip(std::string_view text, std::string_view chars = {});

// str.lower, upper and capitalize. Of letters whose other case has several characters they know ß
// and İ; ligatures stay.
std::string PythonLower(std::string_view text);
std::string PythonUpper(std::string_view text);
std::string PythonCapitalize(std::string_view text);

// str.split() and str.split(separator); `separator` is not empty.
std::vector<std::string> SplitAtBlanks(std::string_view text);
std::vector<std::string> SplitAt(std::string_view text, std::string_view separator,
                                 size_t most = SIZE_MAX);

// Bytes that a replacement may make, more than any prompt has.
constexpr size_t kLongestText = size_t{16} << 20;

// str.replace; an empty `from` is found before and after each character. Throws Error kBadInput
// instead of making over kLongestText of `to`, if that is longer than `from`.
std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to,
                       size_t most = SIZE_MAX);

// The numbers of a slice's elements, in order: [begin:end:step] of a sequence of `size`. Null: not
// given. Throws Error kBadInput for a step of 0 or a value that is not an integer.
std::vector<size_t> SliceOf(size_t size, const TaskJson& begin, const TaskJson& end,
                            const TaskJson& step);

// str(value): what `{{value}}` prints. Strings in lists and objects are printed as repr prints
// them.
std::string PythonString(const TaskJson& value);
std::string PythonRepr(const TaskJson& value);

}  // namespace linnet

#endif  // LINNET_EVAL_PYTHON_TEXT_H_
