// Compressed text inside a checkpoint; used for vocabularies.
#ifndef LINNET_IO_DEFLATED_TEXT_H_
#define LINNET_IO_DEFLATED_TEXT_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// Compresses to one zlib stream (RFC 1950), whose Adler-32 detects damage.
std::vector<std::byte> DeflateText(std::string_view text);

// Decompresses such a stream. Throws Error kBadModel, beginning with `name`, if the bytes are not
// one complete stream, or the text is longer than `most` bytes. Never allocates more than that.
std::string InflateText(std::span<const std::byte> bytes, size_t most, const std::string& name);

}  // namespace linnet

#endif  // LINNET_IO_DEFLATED_TEXT_H_
