#include "server/page_files.h"

// The assembler includes the files, as it does with the built-in model. The list is written by
// cmake/page.cmake.
#define LINNET_PAGE_FILE(number, path, file)                     \
  asm(".pushsection .rodata\n"                                   \
      ".balign 8\n"                                              \
      ".hidden linnet_page_" #number                             \
      "\n"                                                       \
      ".globl linnet_page_" #number                              \
      "\n"                                                       \
      "linnet_page_" #number                                     \
      ":\n"                                                      \
      ".incbin \"" file                                          \
      "\"\n"                                                     \
      "linnet_page_end_" #number                                 \
      ":\n"                                                      \
      ".balign 8\n"                                              \
      ".hidden linnet_page_size_" #number                        \
      "\n"                                                       \
      ".globl linnet_page_size_" #number                         \
      "\n"                                                       \
      "linnet_page_size_" #number                                \
      ":\n"                                                      \
      ".quad linnet_page_end_" #number " - linnet_page_" #number \
      "\n"                                                       \
      ".popsection\n");                                          \
  extern "C" {                                                   \
  extern const uint8_t linnet_page_##number[];                   \
  extern const uint64_t linnet_page_size_##number;               \
  }
#include "page_files.inc"
#undef LINNET_PAGE_FILE

namespace linnet {

std::vector<PageFile> PageFiles() {
  std::vector<PageFile> files;
#define LINNET_PAGE_FILE(number, path, file) \
  files.push_back({path, {linnet_page_##number, linnet_page_size_##number}});
#include "page_files.inc"
#undef LINNET_PAGE_FILE
  return files;
}

}  // namespace linnet
