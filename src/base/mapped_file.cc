#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/whole_pages.h"
#include "linnet/error.h"

namespace linnet {
namespace {

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp ToStamp(const struct stat& st) {
  return {st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size), Nanoseconds(st.st_mtim),
          Nanoseconds(st.st_ctim)};
}

}  // namespace

std::optional<FileStamp> StampOf(const std::filesystem::path& path) noexcept {
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) return std::nullopt;
  return ToStamp(st);
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  if (path.empty()) {
    throw Error(ErrorKind::kIo, "'': cannot open: the name of the file is empty");
  }
  const auto fail = [&](const char* what) {
    return Error(ErrorKind::kIo, fmt::format("{}: {}: {}", path.string(), what, strerror(errno)));
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw fail("cannot open");
  struct stat st {};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    throw Error(ErrorKind::kIo, path.string() + ": not a regular file");
  }
  stamp_ = ToStamp(st);
  size_ = static_cast<size_t>(st.st_size);
  if (size_ != 0) {
    void* map = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
      const auto error = fail("cannot map");
      close(fd);
      throw error;
    }
    data_ = static_cast<const std::byte*>(map);
  }
  close(fd);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      stamp_(other.stamp_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  path_.swap(other.path_);
  std::swap(stamp_, other.stamp_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::Drop(std::span<const std::byte> range) noexcept {
  AdviseWholePages(range, MADV_DONTNEED);
}

}  // namespace linnet
