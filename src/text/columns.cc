#include "text/columns.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "text/utf8.h"

namespace linnet {
namespace {

constexpr std::string_view kGap = "...";
constexpr std::string_view kBetween = "  ";

bool IsControl(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

size_t ColumnsOf(const Utf8Step& step) {
  if (!step.valid || IsControl(step.c)) return 1;
  return static_cast<size_t>(
      std::max(0, utf8proc_charwidth(static_cast<utf8proc_int32_t>(step.c))));
}

// The longest suffix of the text that fits.
std::string_view EndThatFits(std::string_view text, size_t columns) {
  size_t left = Columns(text);
  while (left > columns) {
    const Utf8Step step = NextUtf8(text);
    left -= ColumnsOf(step);
    text.remove_prefix(step.bytes);
  }
  // A combining character would combine with the gap before it.
  for (Utf8Step step; !text.empty() && ColumnsOf(step = NextUtf8(text)) == 0;) {
    text.remove_prefix(step.bytes);
  }
  return text;
}

size_t ColumnsOf(const std::vector<LinePart>& parts) {
  size_t columns = parts.empty() ? 0 : kBetween.size() * (parts.size() - 1);
  for (const LinePart& part : parts) columns += Columns(part.text);
  return columns;
}

}  // namespace

size_t Columns(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    columns += ColumnsOf(step);
    text.remove_prefix(step.bytes);
  }
  return columns;
}

std::string_view CutToColumns(std::string_view text, size_t columns) {
  size_t bytes = 0;
  while (bytes < text.size()) {
    const Utf8Step step = NextUtf8(text.substr(bytes));
    const size_t width = ColumnsOf(step);
    if (width > columns) break;
    columns -= width;
    bytes += step.bytes;
  }
  return text.substr(0, bytes);
}

std::string ShortenMiddle(std::string_view text, size_t columns) {
  if (Columns(text) <= columns) return std::string(text);
  if (columns < kGap.size() + 2) return std::string(CutToColumns(text, columns));
  const size_t kept = columns - kGap.size();
  std::string out(CutToColumns(text, kept / 2));
  out += kGap;
  // The end of a path is more informative than its start, so it gets the larger half.
  out += EndThatFits(text, kept - kept / 2);
  return out;
}

std::string WithoutControls(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    if (step.valid && IsControl(step.c)) {
      out += '?';
    } else {
      out += text.substr(0, step.bytes);
    }
    text.remove_prefix(step.bytes);
  }
  return out;
}

std::string JoinToFit(std::vector<LinePart> parts, size_t columns) {
  while (parts.size() > 1 && ColumnsOf(parts) > columns) {
    parts.erase(std::max_element(parts.begin(), parts.end(),
                                 [](const auto& a, const auto& b) { return a.rank < b.rank; }));
  }
  std::string line;
  for (const LinePart& part : parts) {
    if (!line.empty()) line += kBetween;
    line += part.text;
  }
  return std::string(CutToColumns(line, columns));
}

}  // namespace linnet
