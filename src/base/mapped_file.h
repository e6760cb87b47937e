// MappedFile: a file's bytes, read-only; only the pages that are read take memory.
#ifndef LINNET_BASE_MAPPED_FILE_H_
#define LINNET_BASE_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

namespace linnet {

// Which file it is, and which version: writing to a file changes its times, and a process can set
// only the first of them. Within the few milliseconds that the system's clock takes to advance, two
// versions may have one stamp.
struct FileStamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified = 0, changed = 0;  // nanoseconds since 1970: mtime, ctime

  bool operator==(const FileStamp&) const = default;
};

// Of the file that now has this name; nullopt if there is none.
std::optional<FileStamp> StampOf(const std::filesystem::path& path) noexcept;

class MappedFile {
 public:
  // Throws Error kIo if the path is missing, unreadable or not a regular file; does not block on a
  // pipe. An empty file maps to no bytes.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  // When it was opened.
  const FileStamp& stamp() const { return stamp_; }

  // Frees the memory of pages wholly inside `range`, bytes of any MappedFile; they are read from
  // disk again when accessed. For sources that have been packed and are not needed soon.
  static void Drop(std::span<const std::byte> range) noexcept;

 private:
  std::filesystem::path path_;
  FileStamp stamp_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace linnet

#endif  // LINNET_BASE_MAPPED_FILE_H_
