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

namespace fs = std::filesystem;

constexpr size_t kBuffer = size_t{1} << 18;

Error Failed(const fs::path& path, const char* what) {
  return Error(ErrorKind::kIo, fmt::format("{}: {}: {}", path.string(), what, strerror(errno)));
}

// A name beside `path` that no other file has, also no other file of this process.
int OpenTemporary(const fs::path& path, fs::path* temporary) {
  for (int i = 0; i < 1000; ++i) {
    *temporary = path;
    *temporary += fmt::format(".{}.{}.tmp", getpid(), i);
    const int fd = open(temporary->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path) : path_(path) {
  if (path.empty()) {
    throw Error(ErrorKind::kIo, "'': cannot write: the name of the file is empty");
  }
  std::error_code error;
  // Also through dangling links.
  for (int i = 0; i < 40 && fs::is_symlink(path_, error); ++i) {
    path_ = path_.parent_path() / fs::read_symlink(path_, error);
  }
  const auto status = fs::status(path_, error);
  if (fs::is_directory(status)) {
    errno = EISDIR;
    throw Failed(path, "cannot write");
  }
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    fd_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    fd_ = OpenTemporary(path_, &temporary_);
  }
  if (fd_ < 0 && errno == ENOENT) {
    const fs::path folder = path_.parent_path();
    throw Error(ErrorKind::kIo, fmt::format("{}: cannot write: there is no folder {}",
                                            path.string(), folder.string()));
  }
  if (fd_ < 0) throw Failed(path, "cannot write");
  buffer_.reserve(kBuffer);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::Write(std::span<const std::byte> bytes) {
  offset_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBuffer) {
    WriteThrough(buffer_);
    buffer_.clear();
  }
  if (bytes.size() > kBuffer) {
    WriteThrough(bytes);
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
}

void AtomicFile::WriteThrough(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Failed(path_, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void AtomicFile::Commit(const std::function<void(const fs::path&)>& check) {
  WriteThrough(buffer_);
  buffer_.clear();
  if (check) check(temporary_.empty() ? path_ : temporary_);
  if (!temporary_.empty()) {
    if (fsync(fd_) != 0) throw Failed(path_, "cannot sync");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0)
      throw Failed(path_, "cannot rename to");
  }
  close(fd_);
  fd_ = -1;
  if (temporary_.empty()) return;
  // Sync the directory too, or a power failure could undo the rename.
  const auto parent = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  const int dir = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    fsync(dir);
    close(dir);
  }
}

void CheckSpace(const fs::path& path, uint64_t bytes) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error || fs::is_other(fs::status(real, error))) return;
  const fs::space_info space = fs::space(real.parent_path(), error);
  if (error || space.capacity == 0 || bytes <= space.available) return;
  throw Error(ErrorKind::kIo, fmt::format("{}: would take {:.1f} GB, but {:.1f} GB are free there",
                                          path.string(), static_cast<double>(bytes) / 1e9,
                                          static_cast<double>(space.available) / 1e9));
}

}  // namespace linnet
