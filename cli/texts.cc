#include "cli/texts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "cli/cli.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

bool IsStdin(const std::string& path) { return path == "-"; }

Error CannotRead(const std::string& name) {
  return Error(ErrorKind::kIo, fmt::format("{}: cannot be read: {}", name, std::strerror(errno)));
}

int OpenText(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw CannotRead(path);
  struct stat status = {};
  if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
    close(fd);
    throw Error(ErrorKind::kIo, path + ": is a folder, expected a file of text");
  }
  return fd;
}

Error IsEmpty(const std::string& name) {
  return Error(ErrorKind::kIo, name + ": is empty, expected text");
}

}  // namespace

ByteSource::ByteSource(const std::string& path)
    : name_(IsStdin(path) ? "stdin" : path),
      fd_(IsStdin(path) ? STDIN_FILENO : OpenText(path)),
      terminal_(isatty(fd_) != 0),
      buffer_(size_t{1} << 16) {  // longer than any line of a terminal
  if (terminal_) Say("reading from the terminal; Ctrl-D ends the text\n");
}

ByteSource::~ByteSource() {
  if (fd_ != STDIN_FILENO) close(fd_);
}

std::string_view ByteSource::Next() {
  if (!left_.empty()) return std::exchange(left_, {});
  if (ended_) return {};
  ssize_t count;
  while ((count = read(fd_, buffer_.data(), buffer_.size())) < 0 && errno == EINTR) {
    InterruptScope::Check();
  }
  if (count < 0) throw CannotRead(name_);
  const std::string_view bytes(buffer_.data(), static_cast<size_t>(count));
  // A terminal returns whole lines; an incomplete line was ended by Ctrl-D.
  ended_ = bytes.empty() || (terminal_ && bytes.back() != '\n');
  return bytes;
}

std::string ByteSource::Rest() {
  std::string text;
  for (std::string_view bytes; !(bytes = Next()).empty();) text += bytes;
  return text;
}

bool ByteSource::ReadLine(std::string& line) {
  line.clear();
  for (std::string_view bytes; !(bytes = Next()).empty();) {
    const size_t end = bytes.find('\n');
    line += bytes.substr(0, end);
    if (end == bytes.npos) continue;
    left_ = bytes.substr(end + 1);
    return true;
  }
  return !line.empty();
}

std::string ReadText(const std::string& path) {
  ByteSource source(path);
  std::string text = source.Rest();
  if (text.empty()) throw IsEmpty(source.name());
  return text;
}

void CheckText(const std::string& path) {
  struct stat status = {};
  // A pipe can be read only once.
  if (IsStdin(path) || (stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode))) return;
  if (ByteSource(path).Next().empty()) throw IsEmpty(path);
}

}  // namespace linnet::cli
