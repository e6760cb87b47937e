#include "cli/input_history.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string_view>
#include <utility>

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kEntries = 1000;
constexpr size_t kBytes = size_t{1} << 16;  // most bytes of an entry

// Escapes a line break as \n and a backslash as \\.
std::string Escape(std::string_view entry) {
  std::string line;
  for (const char c : entry) {
    if (c == '\n') {
      line += "\\n";
    } else {
      if (c == '\\') line += c;
      line += c;
    }
  }
  return line;
}

std::string Unescape(std::string_view line) {
  std::string entry;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || i + 1 == line.size()) {
      entry += line[i];
    } else {
      entry += line[++i] == 'n' ? '\n' : line[i];
    }
  }
  return entry;
}

// False if not everything could be written.
bool WriteLines(const fs::path& path, int flags, std::string_view lines) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
  if (file < 0) return false;
  const bool whole = write(file, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
  return close(file) == 0 && whole;
}

}  // namespace

InputHistory::InputHistory(fs::path path) : path_(std::move(path)) {
  if (path_.empty()) return;
  std::error_code error;
  if (!fs::exists(path_.parent_path(), error)) {
    fs::create_directories(path_.parent_path(), error);
    fs::permissions(path_.parent_path(), fs::perms::owner_all, error);
  }
  std::ifstream in(path_);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) entries_.push_back(Unescape(line));
  }
  if (entries_.size() <= kEntries) return;
  entries_.erase(entries_.begin(), entries_.end() - kEntries);
  Trim();
}

void InputHistory::Add(const std::string& entry) {
  if (path_.empty() || entry.empty() || entry.size() > kBytes) return;
  WriteLines(path_, O_APPEND, Escape(entry) + '\n');
}

void InputHistory::Trim() const {
  std::string lines;
  for (const std::string& entry : entries_) lines += Escape(entry) + '\n';
  const fs::path temporary = path_.string() + "." + std::to_string(getpid()) + ".tmp";
  if (!WriteLines(temporary, O_TRUNC, lines) ||
      std::rename(temporary.c_str(), path_.c_str()) != 0) {
    unlink(temporary.c_str());
  }
}

}  // namespace linnet::cli
