// Builds pickles and zip archives by hand, for tests of malformed files.
#ifndef LINNET_IO_TEST_BYTES_H_
#define LINNET_IO_TEST_BYTES_H_

// GCC 12 warns of an overlap in `"text" + std::string` that does not exist (its bug 105651).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wrestrict"
#endif

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/scratch_folder.h"
#include "linnet/error.h"

namespace linnet::test {

inline std::string Little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// Overwrites bytes of a file built before.
inline void Patch(std::string& bytes, size_t at, const std::string& with) {
  bytes.replace(at, with.size(), with);
}

inline std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// Pickle fragments: each leaves one value on the stack.
inline std::string Str(std::string_view text) {
  return "X" + Little(text.size(), 4) + std::string(text);
}
inline std::string Int(int64_t value) {
  return "\x8a\x08" + Little(static_cast<uint64_t>(value), 8);
}
inline std::string Tuple(const std::vector<std::string>& values) {
  std::string out = "(";
  for (const auto& value : values) out += value;
  return out + "t";
}
inline std::string Ints(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(Int(value));
  return Tuple(items);
}
inline std::string Storage(const std::string& type, const std::string& key, int64_t elements) {
  return Tuple({Str("storage"), "ctorch\n" + type + "\n", Str(key), Str("cpu"), Int(elements)}) +
         "Q";
}
inline std::string Tensor(const std::string& storage, int64_t offset,
                          const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n" +
         Tuple({storage, Int(offset), Ints(shape), Ints(strides), "\x89",
                "ccollections\nOrderedDict\n)R"}) +
         "R";
}
// A float tensor [n] that covers its whole storage.
inline std::string Vector(const std::string& key, int64_t n) {
  return Tensor(Storage("FloatStorage", key, n), 0, {n}, {1});
}
inline std::string Dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = "}(";
  for (const auto& [key, value] : items) out += key + value;
  return out + "u";
}
inline std::string Pickled(const std::string& value) { return "\x80\x02" + value + "."; }

// An archive of stored entries without padding or descriptors.
struct ZipOptions {
  bool zip64 = false;  // all sizes, offsets and counts in ZIP64 fields
  uint16_t method = 0, flags = 0;
  std::string comment = {};
};
inline std::string Zip(const std::vector<std::pair<std::string, std::string>>& entries,
                       const ZipOptions& options = {}) {
  std::string out, directory;
  const bool z = options.zip64;
  const auto full = [z](uint64_t value, int bytes) {
    return z ? Little(UINT64_MAX, bytes) : Little(value, bytes);
  };
  for (const auto& [name, data] : entries) {
    const auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size()));
    const std::string shared = Little(options.flags, 2) + Little(options.method, 2) + Little(0, 4) +
                               Little(crc, 4) + full(data.size(), 4) + full(data.size(), 4) +
                               Little(name.size(), 2);
    std::string extra;
    if (z) {
      // After another extra field, so that the reader has to skip one.
      extra = Little(0x4246, 2) + Little(3, 2) + "ZZZ" + Little(1, 2) + Little(24, 2) +
              Little(data.size(), 8) + Little(data.size(), 8) + Little(out.size(), 8);
    }
    directory += Little(0x02014b50, 4) + Little(45, 2) + Little(45, 2) + shared +
                 Little(extra.size(), 2) + Little(0, 2) + Little(0, 2) + Little(0, 2) +
                 Little(0, 4) + full(out.size(), 4) + name + extra;
    out += Little(0x04034b50, 4) + Little(45, 2) + shared + Little(0, 2) + name + data;
  }
  const uint64_t at = out.size(), count = entries.size();
  out += directory;
  if (z) {
    const uint64_t end = out.size();
    out += Little(0x06064b50, 4) + Little(44, 8) + Little(45, 2) + Little(45, 2) + Little(0, 4) +
           Little(0, 4) + Little(count, 8) + Little(count, 8) + Little(directory.size(), 8) +
           Little(at, 8);
    out += Little(0x07064b50, 4) + Little(0, 4) + Little(end, 8) + Little(1, 4);
  }
  return out + Little(0x06054b50, 4) + Little(0, 4) + full(count, 2) + full(count, 2) +
         full(directory.size(), 4) + full(at, 4) + Little(options.comment.size(), 2) +
         options.comment;
}

// torch.save's archive: a pickled value, and storages by key.
inline std::string Pth(const std::string& value,
                       const std::vector<std::pair<std::string, std::string>>& storages,
                       const ZipOptions& options = {}) {
  std::vector<std::pair<std::string, std::string>> entries = {{"m/data.pkl", Pickled(value)}};
  for (const auto& [key, data] : storages) entries.push_back({"m/data/" + key, data});
  return Zip(entries, options);
}

// A safetensors file with this header and `data` zero bytes.
inline std::string Safetensors(const std::string& header, size_t data) {
  return Little(header.size(), 8) + header + std::string(data, '\0');
}

// The message of the error that `f` throws; empty if it does not throw.
template <class F>
std::string MessageOf(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace linnet::test

#endif  // LINNET_IO_TEST_BYTES_H_
