// AtomicFile: a file that appears under its name complete or not at all.
#ifndef LINNET_BASE_ATOMIC_FILE_H_
#define LINNET_BASE_ATOMIC_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace linnet {

// Writes to a temporary name beside `path`; Commit syncs it and renames it to `path`. Without
// Commit the destructor removes the temporary file and leaves `path` unchanged. A symbolic link is
// followed; a pipe or device is written directly, since it cannot be replaced. One thread at a
// time.
class AtomicFile {
 public:
  // Throws Error kIo, as do all members.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(std::span<const std::byte> bytes);
  void Write(std::string_view text) { Write(std::as_bytes(std::span(text))); }
  uint64_t offset() const { return offset_; }
  // `check` may read the complete file under the temporary name it is given; if it throws, the file
  // does not appear.
  void Commit(const std::function<void(const std::filesystem::path&)>& check = {});

 private:
  void WriteThrough(std::span<const std::byte> bytes);

  std::filesystem::path path_, temporary_;  // temporary_ is empty for a pipe or device
  int fd_ = -1;
  uint64_t offset_ = 0;
  std::vector<std::byte> buffer_;  // not yet written
};

// Throws Error kIo if a file of so many bytes would not fit beside the current file at `path`. If
// the file system does not tell its free space, nothing is thrown.
void CheckSpace(const std::filesystem::path& path, uint64_t bytes);

}  // namespace linnet

#endif  // LINNET_BASE_ATOMIC_FILE_H_
