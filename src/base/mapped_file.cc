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

MappedFile::MappedFile(const std::filesystem::path& path) {
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
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::Drop(std::span<const std::byte> range) noexcept {
  AdviseWholePages(range, MADV_DONTNEED);
}

}  // namespace linnet
