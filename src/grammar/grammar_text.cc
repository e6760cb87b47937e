#include "grammar/grammar_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "linnet/error.h"
#include "text/utf8.h"

namespace linnet {
namespace {

constexpr size_t kLongestGrammar = size_t{4} << 20;

}  // namespace

GrammarText::GrammarText(std::string_view text, const std::string& name)
    : text_(text), name_(name) {
  if (text.size() > kLongestGrammar) {
    Fail(fmt::format("too large: {} bytes, expected at most {}", text.size(), kLongestGrammar));
  }
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = NextUtf8(text.substr(at));
    if (!step.valid) FailAt(at, "expected UTF-8");
    at += step.bytes;
  }
}

bool GrammarText::Take(std::string_view start) {
  if (!StartsWith(start)) return false;
  at_ += start.size();
  return true;
}

char32_t GrammarText::Next() {
  const Utf8Step step = NextUtf8(text_.substr(at_));
  at_ += step.bytes;
  return step.c;
}

char32_t GrammarText::TakeHex(size_t digits) {
  const size_t begin = at_;
  char32_t value = 0;
  for (size_t i = 0; i < digits; ++i, ++at_) {
    const char c = peek();
    const bool digit = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'f',
               upper = c >= 'A' && c <= 'F';
    if (!digit && !lower && !upper) {
      Fail(fmt::format("found {}, expected {} hexadecimal digits", Found(), digits));
    }
    value = value * 16 + static_cast<char32_t>(digit ? c - '0' : (c | 32) - 'a' + 10);
  }
  if (value > 0x10FFFF) FailAt(begin, "there is no such character, expected at most 10FFFF");
  return value;
}

uint32_t GrammarText::TakeCount() {
  const size_t begin = at_;
  const auto digits = TakeWhile([](char c) { return c >= '0' && c <= '9'; });
  if (digits.empty()) Fail(fmt::format("found {}, expected a number", Found()));
  uint32_t value = 0;
  for (const char digit : digits) {
    value = value * 10 + static_cast<uint32_t>(digit - '0');
    if (value > kMostRepeats) {
      FailAt(begin, fmt::format("{} repetitions are too many, expected at most {}",
                                digits.substr(0, 20), kMostRepeats));
    }
  }
  return value;
}

void GrammarText::FailAt(size_t at, const std::string& what) const {
  const std::string_view before = text_.substr(0, at);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t start = before.rfind('\n');
  std::string_view in_line = start == before.npos ? before : before.substr(start + 1);
  size_t column = 1;
  for (const char c : in_line) column += (c & 0xC0) != 0x80 ? 1 : 0;
  throw Error(ErrorKind::kBadInput, fmt::format("{}:{}:{}: {}", name_, line, column, what));
}

std::string GrammarText::Found() const {
  if (done()) return "the end";
  const Utf8Step step = NextUtf8(text_.substr(at_));
  if (step.c < 0x20 || step.c == 0x7F) return fmt::format("character {:#04x}", uint32_t{step.c});
  return fmt::format("'{}'", text_.substr(at_, step.bytes));
}

}  // namespace linnet
