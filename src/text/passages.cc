#include "text/passages.h"

#include <algorithm>

namespace linnet {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

struct Range {
  size_t begin, end;
};

Range Trimmed(std::string_view text, Range r) {
  while (r.begin < r.end && IsBlank(text[r.begin])) ++r.begin;
  while (r.begin < r.end && IsBlank(text[r.end - 1])) --r.end;
  return r;
}

// Runs of lines that are not blank.
std::vector<Range> ParagraphsOf(std::string_view text) {
  std::vector<Range> paragraphs;
  bool open = false;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const Range line = Trimmed(text, {begin, end});
    if (line.begin < line.end) {
      if (open) {
        paragraphs.back().end = line.end;
      } else {
        paragraphs.push_back(line);
      }
    }
    open = line.begin < line.end;
    begin = end + 1;
  }
  return paragraphs;
}

// Where to cut [begin, begin + most), as far behind as possible but not in the first half.
size_t CutOf(std::string_view text, size_t begin, size_t most) {
  const size_t end = begin + most, half = begin + most / 2;
  const auto behind = [&](auto is_end) -> size_t {
    for (size_t at = end; at > half; --at) {
      if (is_end(at)) return at;
    }
    return 0;
  };
  const auto sentence = [&](size_t at) {
    if (!IsBlank(text[at])) return false;
    size_t last = at - 1;  // quotes and brackets may follow the stop
    while (last > half && std::string_view("\"')").find(text[last]) != std::string_view::npos)
      last--;
    return text[last] == '.' || text[last] == '!' || text[last] == '?';
  };
  const auto cjk_stop = [&](size_t at) {
    return at >= begin + 3 && (text.substr(at - 3, 3) == "。" || text.substr(at - 3, 3) == "！" ||
                               text.substr(at - 3, 3) == "？");
  };
  if (const size_t at = behind([&](size_t i) { return sentence(i) || cjk_stop(i); })) return at;
  if (const size_t at = behind([&](size_t i) { return text[i] == '\n'; })) return at;
  if (const size_t at = behind([&](size_t i) { return IsBlank(text[i]); })) return at;
  // Not inside a character; a byte that continues one is 10xxxxxx.
  size_t at = end;
  while (at > begin + 1 && end - at < 3 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) {
    --at;
  }
  return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80 ? end : at;
}

}  // namespace

std::vector<Passage> SplitPassages(std::string_view text, size_t most) {
  most = std::max<size_t>(most, 4);
  std::vector<Range> parts;
  bool heading = false;  // the last part is a heading alone
  bool whole = false;    // the last part may take more paragraphs
  for (Range paragraph : ParagraphsOf(text)) {
    const bool is_heading =
        text[paragraph.begin] == '#' &&
        text.substr(paragraph.begin, paragraph.end - paragraph.begin).find('\n') ==
            std::string_view::npos;
    const bool fits = whole && paragraph.end - parts.back().begin <= most;
    // A heading begins a passage, unless it follows another.
    if (fits && (!is_heading || heading)) {
      parts.back().end = paragraph.end;
      heading = is_heading;
      continue;
    }
    // A heading before a long paragraph is cut together with it.
    if (heading && !is_heading) {
      paragraph.begin = parts.back().begin;
      parts.pop_back();
    }
    const bool cut = paragraph.end - paragraph.begin > most;
    while (paragraph.end - paragraph.begin > most) {
      const size_t at = CutOf(text, paragraph.begin, most);
      parts.push_back(Trimmed(text, {paragraph.begin, at}));
      paragraph = Trimmed(text, {at, paragraph.end});
    }
    if (paragraph.begin < paragraph.end) parts.push_back(paragraph);
    heading = is_heading;
    whole = !cut;
  }
  std::vector<Passage> passages;
  size_t line = 1, counted = 0;
  for (const Range& part : parts) {
    line +=
        static_cast<size_t>(std::count(text.begin() + static_cast<ptrdiff_t>(counted),
                                       text.begin() + static_cast<ptrdiff_t>(part.begin), '\n'));
    counted = part.begin;
    passages.push_back({part.begin, part.end - part.begin, line});
  }
  return passages;
}

}  // namespace linnet
