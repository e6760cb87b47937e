// MappedFile: a file's bytes, read-only; only the pages that are read take memory.
#ifndef LINNET_BASE_MAPPED_FILE_H_
#define LINNET_BASE_MAPPED_FILE_H_

#include <cstddef>
#include <filesystem>
#include <span>

namespace linnet {

class MappedFile {
 public:
  // Throws Error kIo if the path is missing, unreadable or not a regular file; does not block on a
  // pipe. An empty file maps to no bytes.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Frees the memory of pages wholly inside `range`, bytes of any MappedFile; they are read from
  // disk again when accessed. For sources that have been packed and are not needed soon.
  static void Drop(std::span<const std::byte> range) noexcept;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace linnet

#endif  // LINNET_BASE_MAPPED_FILE_H_
