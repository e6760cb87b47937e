#include "text/pretokenize.h"

#include <array>

#include "text/unicode.h"
#include "text/utf8.h"

namespace linnet {
namespace {

// The length in bytes of the longest run of one class at the front; `last` is the start of its last
// character.
size_t Run(std::string_view text, CharClass wanted, size_t* last = nullptr) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = NextUtf8(text.substr(at));
    if (ClassOf(step.c) != wanted) break;
    if (last != nullptr) *last = at;
    at += step.bytes;
  }
  return at;
}

}  // namespace

size_t FirstWord(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] == '\'') {
    static constexpr std::array<std::string_view, 7> kEndings = {"s", "t",  "re", "ve",
                                                                 "m", "ll", "d"};
    for (const std::string_view ending : kEndings) {
      if (text.substr(1).starts_with(ending)) return 1 + ending.size();
    }
  }
  const size_t blank = text[0] == ' ' ? 1 : 0;
  const std::string_view word = text.substr(blank);
  if (!word.empty()) {
    const CharClass kind = ClassOf(NextUtf8(word).c);
    if (kind != CharClass::kSpace) return blank + Run(word, kind);
  }
  // \s+(?!\S): the whole run if the text ends with it, else all but its last character, which
  // belongs to the next word. \s+ if the run is only that character.
  size_t last = 0;
  const size_t run = Run(text, CharClass::kSpace, &last);
  return run == text.size() || last == 0 ? run : last;
}

}  // namespace linnet
