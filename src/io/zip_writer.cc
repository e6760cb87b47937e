#include "io/zip_writer.h"

#include <zlib.h>

#include <initializer_list>

#include "base/check.h"

namespace linnet {
namespace {

constexpr uint64_t kFull32 = UINT32_MAX;  // a full short field: the value is in the ZIP64 field
constexpr size_t kAlign = 64, kLocalSize = 30;
constexpr uint16_t kVersion = 45;      // ZIP64
constexpr uint16_t kFlags = 0x0808;    // names are UTF-8; a data descriptor follows
constexpr uint16_t kPadding = 0x4246;  // "FB": torch's own extra field, ignored by readers

// Appends little-endian fields.
class Fields {
 public:
  Fields& U16(uint64_t value) { return Add(value, 2); }
  Fields& U32(uint64_t value) { return Add(value, 4); }
  Fields& U64(uint64_t value) { return Add(value, 8); }
  Fields& Text(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Fields& Add(uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_ += static_cast<char>(value >> (8 * i));
    return *this;
  }
  std::string bytes_;
};

uint64_t Short(uint64_t value) { return value < kFull32 ? value : kFull32; }

// ZIP64's extra field, with those values that are too large for 32 bits.
std::string Zip64Extra(std::initializer_list<uint64_t> values) {
  Fields large;
  for (const uint64_t value : values) {
    if (value >= kFull32) large.U64(value);
  }
  if (large.bytes().empty()) return {};
  return Fields().U16(1).U16(large.bytes().size()).Text(large.bytes()).bytes();
}

}  // namespace

void ZipWriter::WriteOut(std::span<const std::byte> bytes) {
  if (file_) {
    file_->Write(bytes);
  } else {
    memory_->insert(memory_->end(), bytes.begin(), bytes.end());
  }
}

uint64_t ZipWriter::offset() const {
  return file_ ? file_->offset() : memory_->size() - memory_begin_;
}

void ZipWriter::Begin(std::string name, uint64_t size) {
  LINNET_CHECK(name.size() <= 1024);
  const uint64_t begin = offset();
  std::string extra = Zip64Extra({size, size});
  // An entry below 4 GB has sizes of 0 here and a descriptor; a larger one also has its sizes here.
  const uint64_t shown = size < kFull32 ? 0 : kFull32;
  const uint64_t data = begin + kLocalSize + name.size() + extra.size() + 4;
  const size_t padding = (kAlign - data % kAlign) % kAlign;
  extra += Fields().U16(kPadding).U16(padding).Text(std::string(padding, 'Z')).bytes();
  Fields header;
  header.U32(0x04034b50).U16(kVersion).U16(kFlags).U16(0).U16(0).U16(0x21).U32(0);
  header.U32(shown).U32(shown).U16(name.size()).U16(extra.size()).Text(name).Text(extra);
  WriteOut(header.bytes());
  entries_.push_back({std::move(name), size, begin, 0});
  written_ = 0;
}

void ZipWriter::Write(std::span<const std::byte> bytes) {
  auto& entry = entries_.back();
  entry.crc = static_cast<uint32_t>(
      crc32_z(entry.crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  written_ += bytes.size();
  WriteOut(bytes);
}

void ZipWriter::End() {
  const auto& entry = entries_.back();
  LINNET_CHECK(written_ == entry.size);
  Fields descriptor;
  descriptor.U32(0x08074b50).U32(entry.crc);
  if (entry.size < kFull32) {
    descriptor.U32(entry.size).U32(entry.size);
  } else {
    descriptor.U64(entry.size).U64(entry.size);
  }
  WriteOut(descriptor.bytes());
}

void ZipWriter::Add(std::string name, std::string_view text) {
  Begin(std::move(name), text.size());
  Write(std::as_bytes(std::span(text)));
  End();
}

void ZipWriter::WriteCentral(const Entry& entry) {
  const std::string extra = Zip64Extra({entry.size, entry.size, entry.offset});
  Fields central;
  // The date is always 1980-01-01: the same tensors give the same bytes.
  central.U32(0x02014b50).U16(kVersion).U16(kVersion).U16(kFlags).U16(0).U16(0).U16(0x21);
  central.U32(entry.crc).U32(Short(entry.size)).U32(Short(entry.size));
  central.U16(entry.name.size()).U16(extra.size()).U16(0).U16(0).U16(0).U32(0);
  central.U32(Short(entry.offset)).Text(entry.name).Text(extra);
  WriteOut(central.bytes());
}

void ZipWriter::WriteEnd(uint64_t directory, uint64_t size) {
  const uint64_t count = entries_.size();
  Fields end;
  if (count >= UINT16_MAX || size >= kFull32 || directory >= kFull32) {
    const uint64_t at = offset();
    end.U32(0x06064b50).U64(44).U16(kVersion).U16(kVersion).U32(0).U32(0);
    end.U64(count).U64(count).U64(size).U64(directory);
    end.U32(0x07064b50).U32(0).U64(at).U32(1);
  }
  const uint64_t shown = count < UINT16_MAX ? count : UINT16_MAX;
  end.U32(0x06054b50).U16(0).U16(0).U16(shown).U16(shown);
  end.U32(Short(size)).U32(Short(directory)).U16(0);
  WriteOut(end.bytes());
}

void ZipWriter::Finish(const std::function<void(const std::filesystem::path&)>& check) {
  const uint64_t directory = offset();
  for (const auto& entry : entries_) WriteCentral(entry);
  WriteEnd(directory, offset() - directory);
  if (file_) file_->Commit(check);
}

}  // namespace linnet
