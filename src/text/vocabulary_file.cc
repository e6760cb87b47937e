#include "text/vocabulary_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <numeric>

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

// Throws Error without a position; the caller adds it.
VocabularyEntry ParseLine(std::string_view line) {
  const auto fail = [](const std::string& what) { throw Error(ErrorKind::kBadInput, what); };
  const size_t first = line.find(' '), last = line.rfind(' ');
  // A literal may contain blanks, but between the first and the last one of the line there is at
  // least one quoted character.
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

// Indices sorted by bytes, then by line. The first eight bytes are compared as one number, so that
// the World vocabulary opens quickly.
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

// {"257": "你好", "130": [129]}. `lines` gets the position of each entry, from 1.
std::vector<VocabularyEntry> ParseJson(std::string_view text, const std::string& name) {
  using nlohmann::json;
  std::vector<VocabularyEntry> entries;
  const auto fail = [&](const std::string& id, const char* what) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: token {} {}", name, id.substr(0, 20), what));
  };
  // Not a map, which would drop duplicate ids.
  std::string id;
  const auto add = [&](std::string bytes) {
    VocabularyEntry entry{0, std::move(bytes)};
    if (!ParseNumber(id, entry.id) || entry.id < 0 || entry.id > kMaxTokenId) {
      fail(id, "has an id that is not a number or is too large");
    }
    if (entry.bytes.empty()) fail(id, "is empty");
    entries.push_back(std::move(entry));
  };
  const auto visit = [&](int depth, json::parse_event_t event, json& value) {
    if (depth == 1 && event == json::parse_event_t::key) {
      id = value.get<std::string>();
    } else if (depth == 1 && event == json::parse_event_t::value) {
      if (!value.is_string()) fail(id, "is neither a text nor a list of bytes");
      add(value.get<std::string>());
    } else if (depth == 1 && event == json::parse_event_t::array_end) {
      std::string bytes;
      for (const json& byte : value) {
        if (!byte.is_number_unsigned() || byte.get<uint64_t>() > 255) {
          fail(id, "is neither a text nor a list of bytes");
        }
        bytes += static_cast<char>(byte.get<uint64_t>());
      }
      add(std::move(bytes));
    } else if (depth == 1 && event == json::parse_event_t::object_start) {
      fail(id, "is neither a text nor a list of bytes");
    }
    return true;
  };
  if (json::parse(text, visit, /*allow_exceptions=*/false).is_discarded()) {
    throw Error(ErrorKind::kBadInput, name + ": is not valid JSON");
  }
  return entries;
}

}  // namespace

std::vector<VocabularyEntry> ParseVocabulary(std::string_view text, const std::string& name) {
  std::vector<VocabularyEntry> entries;
  std::vector<size_t> lines;  // or, of JSON, which entry
  const bool json = IsJsonVocabulary(text);
  const auto fail = [&](size_t line, const std::string& what) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}:{}{}: {}", name, json ? " entry " : "", line, what));
  };
  if (json) {
    entries = ParseJson(text, name);
    lines.resize(entries.size());
    std::iota(lines.begin(), lines.end(), size_t{1});
    text = {};
  }
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
  if (sorted.empty()) throw Error(ErrorKind::kBadInput, name + ": the vocabulary has no token");
  return sorted;
}

bool IsJsonVocabulary(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto skip = [&](char wanted) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(kBlanks)));
    const bool found = text.starts_with(wanted);
    text.remove_prefix(found ? 1 : 0);
    return found;
  };
  return skip('{') && skip('"') && !text.empty() && text[0] >= '0' && text[0] <= '9';
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
