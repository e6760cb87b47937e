#include "io/deflated_text.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "linnet/error.h"

namespace linnet {
namespace {

class Inflater {
 public:
  explicit Inflater(std::span<const std::byte> bytes) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    LINNET_CHECK(inflateInit(&stream_) == Z_OK);
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Returns zlib's result and appends the output to `text`.
  int More(std::string& text) {
    constexpr size_t kStep = size_t{1} << 16;
    const size_t before = text.size();
    text.resize(before + kStep);
    stream_.next_out = reinterpret_cast<Bytef*>(text.data() + before);
    stream_.avail_out = kStep;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    text.resize(before + kStep - stream_.avail_out);
    return result;
  }
  size_t left() const { return stream_.avail_in; }

 private:
  z_stream stream_ = {};
};

}  // namespace

std::vector<std::byte> DeflateText(std::string_view text) {
  uLongf size = compressBound(static_cast<uLong>(text.size()));
  std::vector<std::byte> bytes(size);
  LINNET_CHECK(compress2(reinterpret_cast<Bytef*>(bytes.data()), &size,
                         reinterpret_cast<const Bytef*>(text.data()),
                         static_cast<uLong>(text.size()), Z_BEST_COMPRESSION) == Z_OK);
  bytes.resize(size);
  return bytes;
}

std::string InflateText(std::span<const std::byte> bytes, size_t most, const std::string& name) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kBadModel, fmt::format("{}: {}", name, what));
  };
  // zlib counts in 32 bits; the stream of a text within the limit is far shorter than this.
  if (bytes.size() > std::min<size_t>(2 * most + 1024, std::numeric_limits<uInt>::max())) {
    fail(
        fmt::format("has {} bytes, expected a text of at most {}, compressed", bytes.size(), most));
  }
  Inflater inflater(bytes);
  std::string text;
  int result = Z_OK;
  while (result == Z_OK) {
    result = inflater.More(text);
    if (text.size() > most) fail(fmt::format("is a text of more than {} bytes", most));
  }
  if (result != Z_STREAM_END) fail("is damaged, expected one whole zlib stream");
  if (inflater.left() != 0) {
    fail(fmt::format("has {} bytes after its zlib stream", inflater.left()));
  }
  return text;
}

}  // namespace linnet
