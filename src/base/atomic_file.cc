#include "base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "linnet/error.h"

namespace linnet {
namespace {

Error Failed(const std::filesystem::path& path, const char* what) {
  return Error(ErrorKind::kIo, fmt::format("{}: {}: {}", path.string(), what, strerror(errno)));
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  temporary_ = path;
  temporary_ += fmt::format(".{}.tmp", getpid());
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) throw Failed(path_, "cannot write");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void AtomicFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Failed(path_, "cannot write");
    offset_ += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void AtomicFile::Commit() {
  if (fsync(fd_) != 0) throw Failed(path_, "cannot sync");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) throw Failed(path_, "cannot rename to");
  close(fd_);
  fd_ = -1;
  // The rename itself must outlive a power cut, so the directory is synced too.
  const auto parent = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  const int dir = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    fsync(dir);
    close(dir);
  }
}

}  // namespace linnet
