#include "eval/row_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/lower.h"
#include "base/mapped_file.h"
#include "linnet/error.h"
#include "text/utf8.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// No data set is deeper, and copying what is would take the stack.
constexpr int kRowDepth = 100;

[[noreturn]] void FailRow(const fs::path& path, size_t line, const std::string& what) {
  throw Error(ErrorKind::kBadInput,
              line == 0 ? fmt::format("{}: {}", path.string(), what)
                        : fmt::format("{}: line {}: {}", path.string(), line, what));
}

// nullopt if it is not JSON; `why` then says so.
std::optional<TaskJson> ParseRowJson(std::string_view text, std::string& why) {
  try {
    return TaskJson::parse(
        text.begin(), text.end(), [](int depth, TaskJson::parse_event_t, TaskJson&) {
          if (depth > kRowDepth) {
            throw Error(ErrorKind::kBadInput, "values inside values are too deep");
          }
          return true;
        });
  } catch (const Error& error) {
    why = error.what();
    return std::nullopt;
  } catch (const TaskJson::exception& error) {
    why = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 5: ..."
    if (const size_t at = why.find("] "); at != std::string::npos) why.erase(0, at + 2);
    std::replace(why.begin(), why.end(), '\n', ' ');
    return std::nullopt;
  }
}

TaskRows ReadLines(const fs::path& path, std::string_view text) {
  TaskRows rows;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    std::string why;
    std::optional<TaskJson> row = ParseRowJson(one, why);
    if (!row) FailRow(path, line, why);
    if (!row->is_object()) FailRow(path, line, "found no JSON object, expected one in each line");
    rows.push_back(*std::move(row));
  }
  return rows;
}

TaskRows ReadJson(const fs::path& path, std::string_view text) {
  std::string why;
  std::optional<TaskJson> whole = ParseRowJson(text, why);
  if (!whole) {
    // JSON lines under the name .json; if they are not that either, the first reason is the better.
    try {
      return ReadLines(path, text);
    } catch (const Error&) {
      FailRow(path, 0, why);
    }
  }
  if (whole->is_object()) return {*std::move(whole)};
  if (!whole->is_array()) FailRow(path, 0, "found a single value, expected a list of rows");
  TaskRows rows;
  for (TaskJson& row : *whole) {
    if (row.is_string()) row = {{"text", row}};  // a list of texts
    if (!row.is_object()) FailRow(path, 0, "found a row that is not a JSON object");
    rows.push_back(std::move(row));
  }
  return rows;
}

// Takes one field; sets `last` if its line ends with it. In csv a quoted field may contain the
// separator and line ends. In tsv a quote that has no partner before the field's end is text.
std::string TakeField(std::string_view& text, char separator, bool& last, size_t& line,
                      const fs::path& path) {
  const auto end_of = [&](size_t from) {
    return std::min({text.find(separator, from), text.find('\n', from), text.size()});
  };
  std::string field;
  size_t end = end_of(0);
  bool quoted = text.starts_with('"');
  if (quoted) {
    size_t at = 1;
    std::string inside;
    bool closed = false;
    for (; at < text.size(); ++at) {
      if (text[at] == '"') {
        if (at + 1 < text.size() && text[at + 1] == '"')
          ++at;
        else {
          closed = true;
          break;
        }
      } else if (separator == '\t' && (text[at] == '\n' || text[at] == '\t')) {
        break;
      }
      inside += text[at];
    }
    const size_t after = at + 1;
    const bool ends =
        closed && (after >= text.size() || text[after] == separator || text[after] == '\n' ||
                   (text[after] == '\r' && (after + 1 >= text.size() || text[after + 1] == '\n')));
    if (ends) {
      line += static_cast<size_t>(std::count(inside.begin(), inside.end(), '\n'));
      field = inside;
      end = end_of(after);
    } else if (separator == '\t') {
      quoted = false;
    } else {
      FailRow(path, line,
              closed ? "a quoted field has text after its quote" : "a quoted field has no end");
    }
  }
  if (!quoted) field = text.substr(0, end);
  last = end >= text.size() || text[end] == '\n';
  if (last && !quoted && field.ends_with('\r')) field.pop_back();
  text.remove_prefix(std::min(text.size(), end + 1));
  return field;
}

// A column is of numbers if all of its values are, as data frames read them.
TaskJson ColumnValue(const std::string& text, bool whole, bool real) {
  if (text.empty() && (whole || real)) return nullptr;
  if (whole) return std::strtoll(text.c_str(), nullptr, 10);
  if (real) return std::strtod(text.c_str(), nullptr);
  return text;
}

TaskRows ReadTable(const fs::path& path, std::string_view text, char separator,
                   const RowFileOptions& options) {
  std::vector<std::string> names = options.columns;
  std::vector<std::vector<std::string>> rows;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t begin = line;
    std::vector<std::string> fields;
    for (bool last = false; !last;) fields.push_back(TakeField(text, separator, last, line, path));
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (names.empty()) {
      names = fields;
      continue;
    }
    if (fields.size() != names.size()) {
      FailRow(path, begin,
              fmt::format("found {} fields, expected {}", fields.size(), names.size()));
    }
    rows.push_back(std::move(fields));
  }
  std::vector<bool> whole(names.size(), true), real(names.size(), true);
  for (size_t c = 0; c < names.size(); ++c) {
    bool any = false;
    for (const auto& row : rows) {
      if (row[c].empty()) continue;
      any = true;
      int64_t value = 0;
      const char* end = row[c].data() + row[c].size();
      const auto [stop, error] = std::from_chars(row[c].data(), end, value);
      if (error != std::errc() || stop != end) whole[c] = false;
      char* parsed = nullptr;
      std::strtod(row[c].c_str(), &parsed);
      const bool digits = row[c].find_first_not_of("0123456789+-.eE") == std::string::npos;
      if (*parsed != 0 || !digits) real[c] = false;
      if (!whole[c] && !real[c]) break;
    }
    if (!any) whole[c] = real[c] = false;
  }
  TaskRows out;
  for (const auto& row : rows) {
    TaskJson object = TaskJson::object();
    for (size_t c = 0; c < names.size(); ++c)
      object[names[c]] = ColumnValue(ValidUtf8(row[c]), whole[c], real[c]);
    out.push_back(std::move(object));
  }
  return out;
}

bool MatchesPattern(std::string_view name, std::string_view pattern) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  name.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  for (size_t from = 0; from <= name.size(); ++from) {
    if (MatchesPattern(name.substr(from), pattern)) return true;
  }
  return false;
}

}  // namespace

TaskRows ReadRowFile(const fs::path& path, const RowFileOptions& options) {
  const std::string ending = Lower(path.extension().string());
  if (ending == ".parquet" || ending == ".arrow") return ReadArrowFile(path);
  const MappedFile file(path);
  const auto bytes = file.bytes();
  const std::string_view text =
      WithoutByteOrderMark({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  TaskRows rows;
  if (ending == ".jsonl") {
    rows = ReadLines(path, text);
  } else if (ending == ".json") {
    rows = ReadJson(path, text);
  } else if (ending == ".csv" || ending == ".tsv") {
    rows = ReadTable(path, text, ending == ".csv" ? ',' : '\t', options);
  } else {
    FailRow(path, 0, "expected a .jsonl, .json, .csv, .tsv, .parquet or .arrow file");
  }
  if (rows.empty()) FailRow(path, 0, "has no rows");
  return rows;
}

std::vector<fs::path> FindDataFiles(const fs::path& dir, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const fs::path path = dir / name;
    std::error_code error;
    if (name.find('*') == std::string::npos) {
      if (fs::is_regular_file(path, error)) return {path};
      continue;
    }
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path.parent_path(), error)) {
      const std::string file = entry.path().filename().string();
      if (MatchesPattern(file, path.filename().string()) && entry.is_regular_file(error))
        found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace linnet
