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

// Checking a 15 GB checkpoint takes seconds, so it is not done when the file is
// opened but storage by storage, at the first read of each.
class StoredRecord {
 public:
  // `mapped`: the bytes are of a MappedFile, their pages may be dropped. `crc` 0 means
  // that none was written, as torch.serialization.set_crc32_options(False) does.
  StoredRecord(std::span<const std::byte> bytes, uint32_t crc, std::string what, bool mapped)
      : bytes_(bytes), crc_(crc), what_(std::move(what)), mapped_(mapped) {}

  std::span<const std::byte> bytes() const { return bytes_; }

  // Once it has passed, it costs one load. Gives the pages of a mapped record
  // back as it goes, so that it adds no more than 4 MB to what is resident.
  // Throws Error kBadModel, each time it is asked. Thread-safe.
  void Check() const;

 private:
  std::span<const std::byte> bytes_;
  uint32_t crc_;
  std::string what_;  // file and record, for the message
  bool mapped_;
  mutable std::mutex mutex_;
  mutable std::atomic<bool> passed_{false};
};

}  // namespace linnet

#endif  // LINNET_IO_STORED_RECORD_H_
