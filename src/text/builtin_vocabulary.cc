#include "text/builtin_vocabulary.h"

#include <cstdint>

#include "text/gunzip.h"

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
#ifdef LINNET_VOCABULARY_GZ
  return Gunzip({linnet_vocabulary_gz, linnet_vocabulary_gz_size});
#else
  return {};
#endif
}

}  // namespace linnet
