// StoredRecord: the bytes of one zip entry, checked against their CRC-32 when first read.
#ifndef LINNET_IO_STORED_RECORD_H_
#define LINNET_IO_STORED_RECORD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>

namespace linnet {

// Checking a 15 GB checkpoint takes seconds, so each storage is checked when it is first read, not
// when the file is opened.
class StoredRecord {
 public:
  // `mapped`: the bytes are in a MappedFile, and their pages may be dropped. `crc` 0 means that no
  // checksum was written, as with torch.serialization.set_crc32_options(False).
  StoredRecord(std::span<const std::byte> bytes, uint32_t crc, std::string what, bool mapped)
      : bytes_(bytes), crc_(crc), what_(std::move(what)), mapped_(mapped) {}

  std::span<const std::byte> bytes() const { return bytes_; }

  // After it has passed, a call costs one load. Drops the pages of a mapped record while checking,
  // so that it adds at most 4 MB to resident memory. Throws Error kBadModel on every call if the
  // check fails. Thread-safe.
  void Check() const;

 private:
  std::span<const std::byte> bytes_;
  uint32_t crc_;
  std::string what_;  // file and record, for messages
  bool mapped_;
  mutable std::mutex mutex_;
  mutable std::atomic<bool> passed_{false};
};

}  // namespace linnet

#endif  // LINNET_IO_STORED_RECORD_H_
