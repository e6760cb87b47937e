// ZipWriter: writes an archive of stored entries in torch.save's layout, as one stream.
#ifndef LINNET_IO_ZIP_WRITER_H_
#define LINNET_IO_ZIP_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"

namespace linnet {

// Data begins at multiples of 64 bytes, so that a reader may map it. The CRC-32 is known only after
// the data, so it is written in a data descriptor after the data, and in the directory. ZIP64 is
// used where a size, an offset or the count needs it. Throws Error kIo.
class ZipWriter {
 public:
  explicit ZipWriter(const std::filesystem::path& path) { file_.emplace(path); }
  // At the end of `to`, which must live as long; `check` is not called.
  explicit ZipWriter(std::vector<std::byte>& to) : memory_(&to), memory_begin_(to.size()) {}

  // For each entry: Begin, Write exactly `size` bytes in total, End.
  void Begin(std::string name, uint64_t size);
  void Write(std::span<const std::byte> bytes);
  void End();
  void Add(std::string name, std::string_view text);

  // Writes the directory. The file then appears, unless `check` throws (AtomicFile::Commit).
  void Finish(const std::function<void(const std::filesystem::path&)>& check = {});

 private:
  struct Entry {
    std::string name;
    uint64_t size, offset;
    uint32_t crc;
  };
  void WriteOut(std::span<const std::byte> bytes);
  void WriteOut(std::string_view text) { WriteOut(std::as_bytes(std::span(text))); }
  uint64_t offset() const;
  void WriteCentral(const Entry& entry);
  void WriteEnd(uint64_t directory, uint64_t size);

  std::optional<AtomicFile> file_;  // or
  std::vector<std::byte>* memory_ = nullptr;
  size_t memory_begin_ = 0;
  std::vector<Entry> entries_;
  uint64_t written_ = 0;  // of the current entry
};

}  // namespace linnet

#endif  // LINNET_IO_ZIP_WRITER_H_
