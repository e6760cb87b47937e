#include "cli/notices.h"

#include <cstddef>

// cmake/notices.cmake collects the notices and defines the file's path.
asm(".pushsection .rodata\n"
    ".hidden linnet_notices\n"
    ".globl linnet_notices\n"
    "linnet_notices:\n"
    ".incbin \"" LINNET_NOTICES
    "\"\n"
    ".hidden linnet_notices_end\n"
    ".globl linnet_notices_end\n"
    "linnet_notices_end:\n"
    ".byte 0\n"
    ".popsection\n");
extern "C" {
extern const char linnet_notices[];
extern const char linnet_notices_end[];
}

namespace linnet::cli {

std::string_view Notices() {
  return {linnet_notices, static_cast<size_t>(linnet_notices_end - linnet_notices)};
}

}  // namespace linnet::cli
