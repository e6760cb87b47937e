// ByteCursor: reads consecutive little-endian numbers and strings, each checked to be inside the
// file.
#ifndef LINNET_IO_BYTE_CURSOR_H_
#define LINNET_IO_BYTE_CURSOR_H_

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "io/container.h"
#include "linnet/error.h"

namespace linnet {

class ByteCursor {
 public:
  explicit ByteCursor(const FileBytes& file) : file_(file) {}

  size_t at() const { return at_; }
  size_t left() const { return file_.bytes.size() - at_; }

  template <class T>
  T Read() {
    T value;
    std::memcpy(&value, Take(sizeof(T)), sizeof(T));
    return value;
  }

  // The next `size` bytes. Throws Error kBadModel if the file is too short.
  const std::byte* Take(uint64_t size) {
    if (size > left()) {
      throw Error(
          ErrorKind::kBadModel,
          fmt::format("{}: truncated: {} bytes wanted at byte {}, the file has {}; download "
                      "it again",
                      file_.name, size, at_, file_.bytes.size()));
    }
    const std::byte* taken = file_.bytes.data() + at_;
    at_ += size;
    return taken;
  }
  std::string_view Text(uint64_t size) {
    return {reinterpret_cast<const char*>(Take(size)), static_cast<size_t>(size)};
  }

 private:
  const FileBytes& file_;
  size_t at_ = 0;
};

}  // namespace linnet

#endif  // LINNET_IO_BYTE_CURSOR_H_
