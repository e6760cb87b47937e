#include "text/vocabulary_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "linnet/error.h"
#include "text/python_literal.h"

namespace linnet {
namespace {

template <class T>
bool ParseNumber(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view Trim(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  return line;
}

// Throws Error without a place; the caller adds it.
VocabularyEntry ParseLine(std::string_view line) {
  const auto fail = [](const std::string& what) { throw Error(ErrorKind::kBadInput, what); };
  const size_t first = line.find(' '), last = line.rfind(' ');
  // A literal may hold blanks, but between the first and the last one of the
  // line there is at least one quoted character.
  if (first == line.npos || last < first + 3) fail("expected `id literal length`");
  VocabularyEntry entry;
  const std::string_view id = line.substr(0, first);
  if (!ParseNumber(id, entry.id) || entry.id < 0 || entry.id > kMaxTokenId) {
    fail(fmt::format("id `{}` is not a number from 0 to {}", id.substr(0, 20), kMaxTokenId));
  }
  entry.bytes = ParsePythonLiteral(line.substr(first + 1, last - first - 1));
  size_t length = 0;
  const std::string_view column = line.substr(last + 1);
  if (!ParseNumber(column, length) || length != entry.bytes.size()) {
    fail(fmt::format("the token has {} bytes, but its length says `{}`", entry.bytes.size(),
                     column.substr(0, 20)));
  }
  if (entry.bytes.empty()) fail("the token is empty");
  return entry;
}

template <class Fail>
void CheckIds(const std::vector<VocabularyEntry>& entries, const std::vector<size_t>& lines,
              const Fail& fail) {
  int32_t largest = -1;
  for (const VocabularyEntry& entry : entries) largest = std::max(largest, entry.id);
  std::vector<size_t> line_of(static_cast<size_t>(largest + 1), 0);
  for (size_t i = 0; i < entries.size(); ++i) {
    size_t& line = line_of[static_cast<size_t>(entries[i].id)];
    if (line != 0) {
      fail(lines[i], fmt::format("id {} again, first given on line {}", entries[i].id, line));
    }
    line = lines[i];
  }
}

// Indices by the order of the bytes, then of the lines. The first eight bytes
// decide as one number: opening the World vocabulary should not be felt.
std::vector<size_t> OrderByBytes(const std::vector<VocabularyEntry>& entries) {
  struct Key {
    uint64_t front;
    size_t index;
  };
  std::vector<Key> keys;
  keys.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string& bytes = entries[i].bytes;
    uint64_t front = 0;
    for (size_t k = 0; k < 8; ++k) {
      front = front << 8 | (k < bytes.size() ? static_cast<uint8_t>(bytes[k]) : 0u);
    }
    keys.push_back({front, i});
  }
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    if (a.front != b.front) return a.front < b.front;
    const int order = entries[a.index].bytes.compare(entries[b.index].bytes);
    return order != 0 ? order < 0 : a.index < b.index;
  });
  std::vector<size_t> order(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) order[i] = keys[i].index;
  return order;
}

void CheckBytes(const std::vector<VocabularyEntry>& entries, const std::string& name) {
  std::array<bool, 256> known = {};
  for (const VocabularyEntry& entry : entries) {
    if (entry.bytes.size() == 1) known[static_cast<uint8_t>(entry.bytes[0])] = true;
  }
  const auto missing = std::find(known.begin(), known.end(), false);
  if (missing == known.end()) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: not a World vocabulary: no token for the byte 0x{:02x} among its "
                          "{} tokens; every byte needs one",
                          name, missing - known.begin(), entries.size()));
}

}  // namespace

std::vector<VocabularyEntry> ParseVocabulary(std::string_view text, const std::string& name) {
  std::vector<VocabularyEntry> entries;
  std::vector<size_t> lines;
  const auto fail = [&](size_t line, const std::string& what) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}:{}: {}", name, line, what));
  };
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view content = Trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (content.empty()) continue;
    try {
      entries.push_back(ParseLine(content));
    } catch (const Error& error) {
      fail(line, error.what());
    }
    lines.push_back(line);
  }
  CheckIds(entries, lines, fail);
  const std::vector<size_t> order = OrderByBytes(entries);
  std::vector<VocabularyEntry> sorted;
  sorted.reserve(entries.size());
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && entries[order[i]].bytes == sorted.back().bytes) {
      fail(lines[order[i]], fmt::format("the same token as on line {}", lines[order[i - 1]]));
    }
    sorted.push_back(entries[order[i]]);
  }
  CheckBytes(sorted, name);
  return sorted;
}

std::string FormatVocabulary(const std::vector<VocabularyEntry>& entries) {
  std::string text;
  for (const VocabularyEntry& entry : entries) {
    text +=
        fmt::format("{} {} {}\n", entry.id, FormatPythonLiteral(entry.bytes), entry.bytes.size());
  }
  return text;
}

}  // namespace linnet
