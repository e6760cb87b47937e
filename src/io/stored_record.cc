#include "io/stored_record.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "base/mapped_file.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kChunk = size_t{4} << 20;

}  // namespace

void StoredRecord::Check() const {
  if (passed_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  if (passed_.load(std::memory_order_relaxed)) return;
  if (crc_ != 0) {
    uLong crc = crc32(0, nullptr, 0);
    for (size_t at = 0; at < bytes_.size(); at += kChunk) {
      const auto chunk = bytes_.subspan(at, std::min(kChunk, bytes_.size() - at));
      crc = crc32_z(crc, reinterpret_cast<const Bytef*>(chunk.data()), chunk.size());
      if (mapped_ && bytes_.size() > kChunk) MappedFile::Drop(chunk);
    }
    if (crc != crc_) {
      throw Error(ErrorKind::kBadModel,
                  fmt::format("{}: the bytes have CRC-32 {:08x}, expected {:08x}; the file is "
                              "damaged, download it again",
                              what_, crc, crc_));
    }
  }
  passed_.store(true, std::memory_order_release);
}

}  // namespace linnet
