#include "text/python_literal.h"

#include <fmt/format.h>

#include "linnet/error.h"
#include "text/utf8.h"

namespace linnet {
namespace {

[[noreturn]] void Fail(const std::string& what) { throw Error(ErrorKind::kBadInput, what); }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Literal {
 public:
  explicit Literal(std::string_view text) : rest_(text) {}

  std::string Parse() {
    if (!rest_.empty() && (rest_[0] == 'b' || rest_[0] == 'B')) {
      is_bytes_ = true;
      rest_.remove_prefix(1);
    }
    if (rest_.size() < 2 || (rest_[0] != '\'' && rest_[0] != '"') || rest_.back() != rest_[0]) {
      Fail("the token is not a quoted Python literal");
    }
    const char quote = rest_[0];
    rest_ = rest_.substr(1, rest_.size() - 2);
    while (!rest_.empty()) {
      if (rest_[0] == quote) Fail("the literal ends before its last quote");
      if (rest_[0] == '\\') {
        rest_.remove_prefix(1);
        Escape(quote);
      } else {
        Plain();
      }
    }
    return std::move(out_);
  }

 private:
  void Plain() {
    const Utf8Step step = NextUtf8(rest_);
    if (!step.valid) Fail("the line is not UTF-8");
    if (is_bytes_ && step.bytes > 1) Fail("a b'' literal may only hold ASCII characters");
    out_ += rest_.substr(0, step.bytes);
    rest_.remove_prefix(step.bytes);
  }

  // The value of a numeric escape: a character in a string, a byte in a bytes literal.
  void Put(uint32_t value) {
    if (is_bytes_) {
      out_.push_back(static_cast<char>(value));  // Python takes \777 modulo 256 too
    } else if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      Fail(fmt::format("U+{:04X} is not a character", value));
    } else {
      AppendUtf8(value, out_);
    }
  }

  void Hex(size_t digits) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      const int digit = i < rest_.size() ? HexDigit(rest_[i]) : -1;
      if (digit < 0) Fail(fmt::format("an escape needs {} hexadecimal digits", digits));
      value = value << 4 | static_cast<uint32_t>(digit);
    }
    rest_.remove_prefix(digits);
    Put(value);
  }

  void Octal() {
    uint32_t value = 0;
    for (int i = 0; i < 3 && !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '7'; ++i) {
      value = value << 3 | static_cast<uint32_t>(rest_[0] - '0');
      rest_.remove_prefix(1);
    }
    Put(value);
  }

  void Escape(char quote) {
    // The closing quote was already removed. A backslash at the end would have escaped it.
    if (rest_.empty()) Fail(fmt::format("the literal has no closing {}", quote));
    const char c = rest_[0];
    if (c >= '0' && c <= '7') return Octal();
    static constexpr std::string_view kNames = "\\'\"abfnrtv";
    static constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t i = kNames.find(c); i != kNames.npos) {
      out_.push_back(kValues[i]);
      rest_.remove_prefix(1);
      return;
    }
    const bool wide = !is_bytes_ && (c == 'u' || c == 'U');
    if (c == 'x' || wide) {
      rest_.remove_prefix(1);
      return Hex(c == 'x' ? 2 : c == 'u' ? 4 : 8);
    }
    if (c == 'N' && !is_bytes_) Fail("\\N{...} escapes are not supported; use \\u");
    out_.push_back('\\');
  }

  std::string_view rest_;
  std::string out_;
  bool is_bytes_ = false;
};

}  // namespace

std::string ParsePythonLiteral(std::string_view literal) { return Literal(literal).Parse(); }

std::string FormatPythonLiteral(std::string_view bytes) {
  const bool is_text = ValidUtf8(bytes) == bytes;
  std::string out = is_text ? "'" : "b'";
  for (std::string_view rest = bytes; !rest.empty();) {
    const size_t size = is_text ? NextUtf8(rest).bytes : 1;
    const char32_t c = is_text ? NextUtf8(rest).c : static_cast<uint8_t>(rest[0]);
    constexpr std::string_view kNamed = "\\'\n\r\t", kNames = "\\'nrt";
    if (const size_t i = size == 1 ? kNamed.find(rest[0]) : kNamed.npos; i != kNamed.npos) {
      out += '\\';
      out += kNames[i];
    } else if (c < 0x20 || (c >= 0x7F && (c <= 0xA0 || !is_text))) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    } else if (c == 0x2028 || c == 0x2029 || c == 0xFEFF) {  // some editors break or hide them
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      out += rest.substr(0, size);
    }
    rest.remove_prefix(size);
  }
  return out + "'";
}

}  // namespace linnet
