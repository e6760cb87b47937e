#include "text/escaped_tokens.h"

#include <fmt/format.h>

#include <utility>

#include "linnet/error.h"
#include "text/tokenizers.h"
#include "text/vocabulary_file.h"

namespace linnet {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::string UnescapeToken(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    const bool hex =
        c == 'x' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0;
    if (hex) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
    }
  }
  return out;
}

std::string EscapeToken(std::string_view bytes) {
  // Python uses double quotes if the text has only single ones, and then escapes neither.
  const bool quote = bytes.find('\'') != bytes.npos && bytes.find('"') != bytes.npos;
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '\\' || (c == '\'' && quote)) {
      out += '\\';
      out += c;
    } else if (c == '\t' || c == '\n' || c == '\r') {
      out += c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r";
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::shared_ptr<const Tokenizer> EscapedTokenizer(std::span<const std::string> tokens,
                                                  std::span<const int32_t> kinds,
                                                  const std::string& name) {
  // Goes through a vocabulary file, because its reader checks everything a tokenizer relies on.
  std::string file;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const bool text = kinds.empty() || (id < kinds.size() && (kinds[id] == 1 || kinds[id] == 4));
    const std::string bytes = text ? UnescapeToken(tokens[id]) : std::string();
    if (bytes.empty()) continue;
    file += fmt::format("{} b'", id);
    for (const char c : bytes) file += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    file += fmt::format("' {}\n", bytes.size());
  }
  return NewWorldTokenizer(ParseVocabulary(file, name));
}

}  // namespace linnet
