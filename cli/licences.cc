// linnet licences: the notices of what this program contains and links.
#include <cstddef>
#include <memory>
#include <string_view>

#include "cli/cli.h"

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

void AddLicences(CLI::App& app) {
  const auto common = std::make_shared<CommonOptions>();
  AddCommand(
      app, "licences", "Print the notices of third parties", "linnet licences | less", *common,
      [common] {
        Print(std::string_view(linnet_notices,
                               static_cast<size_t>(linnet_notices_end - linnet_notices)));
      },
      0);
}

}  // namespace linnet::cli
