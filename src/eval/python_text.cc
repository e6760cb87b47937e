#include "eval/python_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "linnet/error.h"
#include "text/utf8.h"

namespace linnet {
namespace {

template <class F>
void ForCharacters(std::string_view text, F&& f) {
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    f(step.c, text.substr(0, step.bytes));
    text.remove_prefix(step.bytes);
  }
}

bool IsOneOf(char32_t c, std::u32string_view chars) {
  return chars.empty() ? IsPythonSpace(c) : chars.find(c) != std::u32string_view::npos;
}

// The bytes between what is stripped, unchanged even if they are not UTF-8.
std::string Stripped(std::string_view text, std::string_view chars, bool left, bool right) {
  const std::u32string set = ToCharacters(chars);
  size_t at = 0, begin = std::string_view::npos, end = 0;
  ForCharacters(text, [&](char32_t c, std::string_view bytes) {
    if (!IsOneOf(c, set)) {
      if (begin == std::string_view::npos) begin = at;
      end = at + bytes.size();
    }
    at += bytes.size();
  });
  if (begin == std::string_view::npos) return "";
  if (!left) begin = 0;
  return std::string(text.substr(begin, (right ? end : text.size()) - begin));
}

bool IsCased(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}

bool IsCaseIgnorable(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME ||
         category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_LM ||
         category == UTF8PROC_CATEGORY_SK || c == '\'' || c == '.' || c == ':' || c == 0xB7;
}

// Unicode's Final_Sigma: at the end of a word.
bool IsFinalSigma(std::u32string_view text, size_t at) {
  size_t before = at;
  while (before > 0 && IsCaseIgnorable(text[before - 1])) --before;
  if (before == 0 || !IsCased(text[before - 1])) return false;
  size_t after = at + 1;
  while (after < text.size() && IsCaseIgnorable(text[after])) ++after;
  return after == text.size() || !IsCased(text[after]);
}

void AppendLower(std::u32string_view text, size_t at, std::u32string& out) {
  const char32_t c = text[at];
  if (c == 0x130) {  // İ is the one letter whose small form has two characters
    out += U"i\u0307";
  } else if (c == 0x3A3) {
    out += IsFinalSigma(text, at) ? U'\u03C2' : U'\u03C3';
  } else {
    out += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }
}

int64_t IntegerOf(const TaskJson& value, const char* what) {
  if (!value.is_number_integer()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{} of a slice is {}, expected an integer", what, PythonRepr(value)));
  }
  return value.get<int64_t>();
}

// repr(float): the shortest digits that give the number again.
std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const double size = std::abs(value);
  if (value != 0 && (size < 1e-4 || size >= 1e16)) {
    for (int digits = 0; digits < 17; ++digits) {
      const std::string text = fmt::format("{:.{}e}", value, digits);
      if (std::strtod(text.c_str(), nullptr) == value) return text;
    }
  }
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

bool IsPrintable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

std::string StringRepr(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  ForCharacters(text, [&](char32_t c, std::string_view bytes) {
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (IsPrintable(c)) {
      out += bytes;
    } else if (c < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else if (c < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<unsigned>(c));
    }
  });
  return out + quote;
}

}  // namespace

std::u32string ToCharacters(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  ForCharacters(text, [&](char32_t c, std::string_view) { out += c; });
  return out;
}

std::string FromCharacters(std::u32string_view characters) {
  std::string out;
  for (const char32_t c : characters) AppendUtf8(c, out);
  return out;
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  ForCharacters(text, [&](char32_t, std::string_view) { ++count; });
  return count;
}

bool IsPythonSpace(char32_t c) {
  if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string StripLeft(std::string_view text, std::string_view chars) {
  return Stripped(text, chars, true, false);
}
std::string StripRight(std::string_view text, std::string_view chars) {
  return Stripped(text, chars, false, true);
}
std::string Strip(std::string_view text, std::string_view chars) {
  return Stripped(text, chars, true, true);
}

std::string PythonLower(std::string_view text) {
  const std::u32string characters = ToCharacters(text);
  std::u32string out;
  for (size_t i = 0; i < characters.size(); ++i) AppendLower(characters, i, out);
  return FromCharacters(out);
}

std::string PythonUpper(std::string_view text) {
  std::u32string out;
  ForCharacters(text, [&](char32_t c, std::string_view) {
    if (c == 0xDF) {  // ß
      out += U"SS";
    } else {
      out += static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
    }
  });
  return FromCharacters(out);
}

std::string PythonCapitalize(std::string_view text) {
  const std::u32string characters = ToCharacters(text);
  std::u32string out;
  for (size_t i = 0; i < characters.size(); ++i) {
    if (i == 0 && characters[0] == 0xDF) {
      out += U"Ss";
    } else if (i == 0) {
      out += static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(characters[0])));
    } else {
      AppendLower(characters, i, out);
    }
  }
  return FromCharacters(out);
}

std::vector<std::string> SplitAtBlanks(std::string_view text) {
  std::vector<std::string> out;
  bool inside = false;
  ForCharacters(text, [&](char32_t c, std::string_view bytes) {
    const bool blank = IsPythonSpace(c);
    if (!blank && !inside) out.emplace_back();
    inside = !blank;
    if (inside) out.back() += bytes;
  });
  return out;
}

std::vector<std::string> SplitAt(std::string_view text, std::string_view separator, size_t most) {
  std::vector<std::string> out;
  for (size_t end; out.size() < most && (end = text.find(separator)) != std::string_view::npos;) {
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end + separator.size());
  }
  out.emplace_back(text);
  return out;
}

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to,
                       size_t most) {
  std::string out;
  size_t done = 0;
  const size_t fit = to.size() > from.size() ? kLongestText / to.size() : SIZE_MAX;
  const auto replace = [&] {
    if (done++ == fit) throw Error(ErrorKind::kBadInput, "replace: makes too long a text");
    out += to;
  };
  if (from.empty()) {
    ForCharacters(text, [&](char32_t, std::string_view bytes) {
      if (done < most) replace();
      out += bytes;
    });
    if (done < most) replace();
    return out;
  }
  size_t begin = 0;
  while (done < most) {
    const size_t at = text.find(from, begin);
    if (at == std::string_view::npos) break;
    out += text.substr(begin, at - begin);
    replace();
    begin = at + from.size();
  }
  return out += text.substr(begin);
}

std::vector<size_t> SliceOf(size_t size, const TaskJson& begin, const TaskJson& end,
                            const TaskJson& step) {
  const int64_t n = static_cast<int64_t>(size), by = step.is_null() ? 1 : IntegerOf(step, "step");
  if (by == 0) throw Error(ErrorKind::kBadInput, "step of a slice is 0");
  // Python's slice.indices: what is outside is moved to the nearest end.
  const auto place = [&](const TaskJson& value, int64_t fallback, const char* what) {
    if (value.is_null()) return fallback;
    int64_t at = IntegerOf(value, what);
    if (at < 0)
      at = at < -n ? -1 : at + n;
    else if (at > n)
      at = n;
    return by > 0 ? std::clamp<int64_t>(at, 0, n) : std::clamp<int64_t>(at, -1, n - 1);
  };
  const int64_t first = place(begin, by > 0 ? 0 : n - 1, "begin");
  const int64_t last = place(end, by > 0 ? n : -1, "end");
  std::vector<size_t> out;
  // A step beyond the size leaves one element at most, and must not overflow.
  const int64_t stride = std::clamp<int64_t>(by, -n - 1, n + 1);
  for (int64_t i = first; by > 0 ? i < last : i > last; i += stride) {
    out.push_back(static_cast<size_t>(i));
  }
  return out;
}

std::string PythonString(const TaskJson& value) {
  return value.is_string() ? value.get<std::string>() : PythonRepr(value);
}

std::string PythonRepr(const TaskJson& value) {
  switch (value.type()) {
    case TaskJson::value_t::string:
      return StringRepr(value.get_ref<const std::string&>());
    case TaskJson::value_t::boolean:
      return value.get<bool>() ? "True" : "False";
    case TaskJson::value_t::null:
      return "None";
    case TaskJson::value_t::number_float:
      return FloatText(value.get<double>());
    case TaskJson::value_t::array: {
      std::string out = "[";
      for (const TaskJson& part : value) out += (out.size() > 1 ? ", " : "") + PythonRepr(part);
      return out + "]";
    }
    case TaskJson::value_t::object: {
      std::string out = "{";
      for (const auto& [key, part] : value.items()) {
        out += (out.size() > 1 ? ", " : "") + StringRepr(key) + ": " + PythonRepr(part);
      }
      return out + "}";
    }
    default:
      return value.dump();
  }
}

}  // namespace linnet
