#include "text/builtin_vocabulary.h"

#include <zlib.h>

#include <cstdint>

#include "base/check.h"

// cmake/vocabulary.cmake defines the gzip file's path. The assembler includes the file: as a C++
// array, a megabyte would cost the compiler seconds and half a gigabyte.
#ifdef LINNET_VOCABULARY_GZ
asm(".pushsection .rodata\n"
    ".hidden linnet_vocabulary_gz\n"
    ".globl linnet_vocabulary_gz\n"
    "linnet_vocabulary_gz:\n"
    ".incbin \"" LINNET_VOCABULARY_GZ
    "\"\n"
    ".hidden linnet_vocabulary_gz_size\n"
    ".globl linnet_vocabulary_gz_size\n"
    ".balign 8\n"
    "linnet_vocabulary_gz_size:\n"
    ".quad linnet_vocabulary_gz_size - linnet_vocabulary_gz\n"
    ".popsection\n");
extern "C" {
extern const uint8_t linnet_vocabulary_gz[];
extern const uint64_t linnet_vocabulary_gz_size;  // including up to 7 bytes of padding
}
#endif

namespace linnet {

std::string BuiltinVocabulary() {
  std::string text;
#ifdef LINNET_VOCABULARY_GZ
  z_stream stream = {};
  stream.next_in = const_cast<uint8_t*>(linnet_vocabulary_gz);
  stream.avail_in = static_cast<uInt>(linnet_vocabulary_gz_size);
  LINNET_CHECK(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK);  // 16: with a gzip header
  int result = Z_OK;
  while (result == Z_OK) {
    text.resize(text.size() + (size_t{1} << 20));
    stream.next_out = reinterpret_cast<uint8_t*>(text.data()) + stream.total_out;
    stream.avail_out = static_cast<uInt>(text.size() - stream.total_out);
    result = inflate(&stream, Z_NO_FLUSH);
  }
  LINNET_CHECK(result == Z_STREAM_END);  // the data comes from the build, so it is valid
  text.resize(stream.total_out);
  inflateEnd(&stream);
#endif
  return text;
}

}  // namespace linnet
