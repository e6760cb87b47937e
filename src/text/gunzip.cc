#include "text/gunzip.h"

#include <zlib.h>

#include "base/check.h"

namespace linnet {

std::string Gunzip(std::span<const uint8_t> file) {
  std::string content;
  z_stream stream = {};
  stream.next_in = const_cast<uint8_t*>(file.data());
  stream.avail_in = static_cast<uInt>(file.size());
  LINNET_CHECK(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK);  // 16: with a gzip header
  int result = Z_OK;
  while (result == Z_OK) {
    content.resize(content.size() + (size_t{1} << 20));
    stream.next_out = reinterpret_cast<uint8_t*>(content.data()) + stream.total_out;
    stream.avail_out = static_cast<uInt>(content.size() - stream.total_out);
    result = inflate(&stream, Z_NO_FLUSH);
  }
  LINNET_CHECK(result == Z_STREAM_END);
  content.resize(stream.total_out);
  inflateEnd(&stream);
  return content;
}

}  // namespace linnet
