#include "io/zip_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kZip64End = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22;
constexpr size_t kZip64EndSize = 56, kZip64LocatorSize = 20;
constexpr uint16_t kZip64Extra = 0x0001;

// The caller must have checked that the field is inside the file.
template <class T>
T Field(std::span<const std::byte> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}
uint16_t U16(std::span<const std::byte> bytes, size_t at) { return Field<uint16_t>(bytes, at); }
uint32_t U32(std::span<const std::byte> bytes, size_t at) { return Field<uint32_t>(bytes, at); }
uint64_t U64(std::span<const std::byte> bytes, size_t at) { return Field<uint64_t>(bytes, at); }

bool Inside(uint64_t offset, uint64_t size, uint64_t whole) {
  return offset <= whole && size <= whole - offset;
}

Error Bad(const FileBytes& file, const std::string& what) {
  return Error(ErrorKind::kBadModel,
               fmt::format("{}: damaged zip archive: {}; download it again", file.name, what));
}

// The fields of a central directory entry, with the ZIP64 values where the short fields are full.
struct Central {
  std::string_view name;
  uint16_t flags, method;
  uint32_t crc;
  uint64_t packed, size, offset;
};

// Reads from the ZIP64 extra field, in this order, each value whose short field is full.
bool ReadZip64Extra(std::span<const std::byte> extra, Central* entry) {
  while (extra.size() >= 4) {
    const size_t size = U16(extra, 2);
    if (size > extra.size() - 4) return false;
    if (U16(extra, 0) != kZip64Extra) {
      extra = extra.subspan(4 + size);
      continue;
    }
    auto values = extra.subspan(4, size);
    for (uint64_t* value : {&entry->size, &entry->packed, &entry->offset}) {
      if (*value != UINT32_MAX) continue;
      if (values.size() < 8) return false;
      *value = U64(values, 0);
      values = values.subspan(8);
    }
    return true;
  }
  return false;
}

}  // namespace

ZipReader::ZipReader(const FileBytes& file) : file_(file) {
  const Directory directory = FindDirectory();
  if (!Inside(directory.offset, directory.size, file_.bytes.size()) ||
      directory.count > directory.size / kCentralSize) {
    throw Bad(file_, "its directory does not fit into the file");
  }
  entries_.reserve(directory.count);
  size_t at = directory.offset;
  for (uint64_t i = 0; i < directory.count; ++i) {
    at = ReadEntry(at, directory.offset + directory.size);
  }
}

ZipReader::Directory ZipReader::FindDirectory() const {
  const auto bytes = file_.bytes;
  // The end record is followed only by a comment of at most 65535 bytes.
  const size_t first =
      bytes.size() > kEndSize + UINT16_MAX ? bytes.size() - kEndSize - UINT16_MAX : 0;
  for (size_t at = bytes.size() < kEndSize ? 0 : bytes.size() - kEndSize + 1; at-- > first;) {
    if (U32(bytes, at) != kEnd || at + kEndSize + U16(bytes, at + 20) != bytes.size()) continue;
    if (U16(bytes, at + 4) == UINT16_MAX || U16(bytes, at + 8) == UINT16_MAX ||
        U32(bytes, at + 12) == UINT32_MAX || U32(bytes, at + 16) == UINT32_MAX) {
      return ReadZip64(at);
    }
    if (U16(bytes, at + 4) != 0 || U16(bytes, at + 8) != U16(bytes, at + 10)) {
      throw Bad(file_, "one of several disks");
    }
    return {U16(bytes, at + 10), U32(bytes, at + 12), U32(bytes, at + 16)};
  }
  throw Error(ErrorKind::kBadModel,
              fmt::format("{}: truncated: {} bytes of a zip archive without the directory at its "
                          "end; download it again",
                          file_.name, bytes.size()));
}

ZipReader::Directory ZipReader::ReadZip64(size_t end_record) const {
  const auto bytes = file_.bytes;
  if (end_record < kZip64LocatorSize ||
      U32(bytes, end_record - kZip64LocatorSize) != kZip64Locator) {
    throw Bad(file_, "no ZIP64 locator");
  }
  const uint64_t at = U64(bytes, end_record - kZip64LocatorSize + 8);
  if (!Inside(at, kZip64EndSize, bytes.size()) || U32(bytes, at) != kZip64End) {
    throw Bad(file_, "no ZIP64 end record");
  }
  if (U32(bytes, at + 16) != 0 || U64(bytes, at + 24) != U64(bytes, at + 32)) {
    throw Bad(file_, "one of several disks");
  }
  return {U64(bytes, at + 32), U64(bytes, at + 40), U64(bytes, at + 48)};
}

// Returns the position of the next entry.
size_t ZipReader::ReadEntry(size_t at, size_t end) {
  const auto bytes = file_.bytes;
  if (!Inside(at, kCentralSize, end) || U32(bytes, at) != kCentral) {
    throw Bad(file_, "its directory is broken");
  }
  const size_t name_size = U16(bytes, at + 28), extra_size = U16(bytes, at + 30);
  const size_t entry_size = kCentralSize + name_size + extra_size + U16(bytes, at + 32);
  if (!Inside(at, entry_size, end)) throw Bad(file_, "its directory is broken");
  Central entry{AsText(bytes.subspan(at + kCentralSize, name_size)),
                U16(bytes, at + 8),
                U16(bytes, at + 10),
                U32(bytes, at + 16),
                U32(bytes, at + 20),
                U32(bytes, at + 24),
                U32(bytes, at + 42)};
  const bool zip64 = std::max({entry.size, entry.packed, entry.offset}) == UINT32_MAX;
  if (zip64 && !ReadZip64Extra(bytes.subspan(at + kCentralSize + name_size, extra_size), &entry)) {
    throw Bad(file_, fmt::format("entry {} lacks its ZIP64 sizes", Quoted(entry.name)));
  }
  if ((entry.flags & 1) != 0 || entry.method != 0 || entry.packed != entry.size) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: zip entry {} is {}, expected it stored as torch.save does; load "
                            "and save it again with torch",
                            file_.name, Quoted(entry.name),
                            (entry.flags & 1) != 0 ? "encrypted" : "compressed"));
  }
  // The local header repeats the name and has padding; only its two lengths are needed.
  if (!Inside(entry.offset, kLocalSize, bytes.size()) || U32(bytes, entry.offset) != kLocal) {
    throw Bad(file_, fmt::format("entry {} is not where it should be", Quoted(entry.name)));
  }
  const uint64_t data =
      entry.offset + kLocalSize + U16(bytes, entry.offset + 26) + U16(bytes, entry.offset + 28);
  if (!Inside(data, entry.size, bytes.size())) {
    throw Bad(file_, fmt::format("entry {} ends past the file", Quoted(entry.name)));
  }
  if (first_name_.empty()) first_name_ = entry.name;
  const ZipEntry found{bytes.subspan(data, entry.size), entry.crc};
  if (!entries_.emplace(entry.name, found).second) {
    throw Bad(file_, fmt::format("two entries {}", Quoted(entry.name)));
  }
  return at + entry_size;
}

const ZipEntry* ZipReader::Find(std::string_view name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second;
}

}  // namespace linnet
