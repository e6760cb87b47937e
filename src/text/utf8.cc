#include "text/utf8.h"

#include "linnet/tokenizer.h"

namespace linnet {
namespace {

// The valid second bytes of a character. This check rejects overlong forms, surrogates and values
// above U+10FFFF (Unicode 15, table 3-7).
bool SecondByteFits(uint8_t first, uint8_t second) {
  switch (first) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return second >= 0x80 && second <= 0xBF;
  }
}

size_t LengthByFirst(uint8_t first) {
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

}  // namespace

Utf8Step NextUtf8(std::string_view text) {
  if (text.empty()) return {kReplacement, 0, false, true};
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const size_t length = LengthByFirst(byte(0));
  if (length == 1) return {byte(0), 1, true, false};
  if (length == 0) return {kReplacement, 1, false, false};
  char32_t c = byte(0) & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto taken = static_cast<uint8_t>(i);
    if (i == text.size()) return {kReplacement, taken, false, true};
    const bool fits =
        i == 1 ? SecondByteFits(byte(0), byte(1)) : byte(i) >= 0x80 && byte(i) <= 0xBF;
    if (!fits) return {kReplacement, taken, false, false};
    c = c << 6 | (byte(i) & 0x3Fu);
  }
  return {c, static_cast<uint8_t>(length), true, false};
}

char32_t LastUtf8(std::string_view text) {
  for (size_t length = 1; length <= 4 && length <= text.size(); ++length) {
    const Utf8Step step = NextUtf8(text.substr(text.size() - length));
    if (step.valid) return step.bytes == length ? step.c : kReplacement;
  }
  return kReplacement;
}

void AppendUtf8(char32_t c, std::string& out) {
  const auto add = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    add(c);
  } else if (c < 0x800) {
    add(0xC0 | c >> 6);
    add(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    add(0xE0 | c >> 12);
    add(0x80 | (c >> 6 & 0x3F));
    add(0x80 | (c & 0x3F));
  } else {
    add(0xF0 | c >> 18);
    add(0x80 | (c >> 12 & 0x3F));
    add(0x80 | (c >> 6 & 0x3F));
    add(0x80 | (c & 0x3F));
  }
}

std::string_view WithoutByteOrderMark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

std::string ValidUtf8(std::string_view text) {
  Utf8Stream stream;
  std::string out = stream.Push(text);
  return out += stream.Finish();
}

std::string Utf8Stream::Push(std::string_view bytes) {
  std::string all = std::move(pending_);
  pending_.clear();
  all += bytes;
  std::string out;
  out.reserve(all.size());
  for (std::string_view rest = all; !rest.empty();) {
    const Utf8Step step = NextUtf8(rest);
    if (step.cut) {
      pending_ = rest;
      break;
    }
    if (step.valid) {
      out += rest.substr(0, step.bytes);
    } else {
      AppendUtf8(kReplacement, out);
    }
    rest.remove_prefix(step.bytes);
  }
  return out;
}

std::string Utf8Stream::Finish() {
  std::string out;
  if (!pending_.empty()) AppendUtf8(kReplacement, out);
  pending_.clear();
  return out;
}

}  // namespace linnet
