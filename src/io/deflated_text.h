// A text inside a checkpoint, compressed: how a file holds its vocabulary.
#ifndef LINNET_IO_DEFLATED_TEXT_H_
#define LINNET_IO_DEFLATED_TEXT_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// As one zlib stream (RFC 1950), whose Adler-32 finds damage.
std::vector<std::byte> DeflateText(std::string_view text);

// The text of such a stream. Throws Error kBadModel that begins with `name` if
// the bytes are not one whole stream, or its text is longer than `most` bytes:
// never holds more than that.
std::string InflateText(std::span<const std::byte> bytes, size_t most, const std::string& name);

}  // namespace linnet

#endif  // LINNET_IO_DEFLATED_TEXT_H_
