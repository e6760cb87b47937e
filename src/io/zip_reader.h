// ZipReader: finds the stored entries of a zip archive by name; supports ZIP64.
#ifndef LINNET_IO_ZIP_READER_H_
#define LINNET_IO_ZIP_READER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>

#include "io/container.h"

namespace linnet {

struct ZipEntry {
  std::span<const std::byte> bytes;
  uint32_t crc = 0;
};

// Reads the central directory (PKWARE APPNOTE 6.3) and checks that each entry is inside the file
// and before the directory. Rejects what torch.save never writes: compression, encryption, several
// disks, duplicate names.
class ZipReader {
 public:
  // Throws Error kBadModel.
  explicit ZipReader(const FileBytes& file);

  const ZipEntry* Find(std::string_view name) const;  // null if absent
  std::string_view first_name() const { return first_name_; }

 private:
  struct Directory {
    uint64_t count, size, offset;
  };
  Directory FindDirectory() const;
  Directory ReadZip64(size_t end_record) const;
  size_t ReadEntry(size_t at, size_t end);

  FileBytes file_;
  std::string_view first_name_;
  std::unordered_map<std::string_view, ZipEntry> entries_;
};

}  // namespace linnet

#endif  // LINNET_IO_ZIP_READER_H_
