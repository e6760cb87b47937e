#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.h"
#include "text/utf8.h"

namespace linnet {
namespace {

bool IsSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// All of a text below U+0300 is in form C: no such character composes.
bool IsPlainlyNfc(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0xCC; });
}

// Canonical decomposition, marks still in the order of the text.
std::vector<utf8proc_int32_t> Decompose(std::string_view text) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
  std::vector<utf8proc_int32_t> out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    text.remove_prefix(step.bytes);
    std::array<utf8proc_int32_t, 16> parts;
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(step.c), parts.data(),
                                               parts.size(), kOptions, &boundary);
    LINNET_CHECK(count >= 0 && static_cast<size_t>(count) <= parts.size());
    out.insert(out.end(), parts.begin(), parts.begin() + count);
  }
  return out;
}

// Canonical ordering. utf8proc sorts by insertion, which takes hours on a
// megabyte of marks; this does not.
void OrderMarks(std::vector<utf8proc_int32_t>& text) {
  const auto rank = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto i = text.begin(); i != text.end();) {
    const auto end = std::find_if(i, text.end(), [&](auto c) { return rank(c) == 0; });
    if (end - i > 1) {
      std::stable_sort(i, end, [&](auto a, auto b) { return rank(a) < rank(b); });
    }
    i = end == text.end() ? end : end + 1;
  }
}

}  // namespace

CharClass ClassOf(char32_t c) {
  if (c < 0x80) {
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') return CharClass::kLetter;
    if (c >= '0' && c <= '9') return CharClass::kNumber;
    return IsSpace(c) ? CharClass::kSpace : CharClass::kOther;
  }
  if (IsSpace(c)) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::kNumber;
    default:
      return CharClass::kOther;
  }
}

bool IsWordChar(char32_t c) {
  if (ClassOf(c) == CharClass::kLetter || c == 0x200C || c == 0x200D) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c >= 0x24B6 && c <= 0x24E9;  // circled letters: symbols, yet alphabetic
  }
}

std::string ToNfc(std::string_view text) {
  if (IsPlainlyNfc(text)) return std::string(text);
  std::vector<utf8proc_int32_t> chars = Decompose(text);
  OrderMarks(chars);
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const auto count =
      utf8proc_normalize_utf32(chars.data(), static_cast<utf8proc_ssize_t>(chars.size()), kOptions);
  LINNET_CHECK(count >= 0);
  std::string out;
  out.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    AppendUtf8(static_cast<char32_t>(chars[static_cast<size_t>(i)]), out);
  }
  return out;
}

}  // namespace linnet
