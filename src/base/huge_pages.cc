#include "base/huge_pages.h"

#include <sys/mman.h>

#include "base/whole_pages.h"

namespace linnet {

void AskForHugePages(std::span<const std::byte> range) noexcept {
  AdviseWholePages(range, MADV_HUGEPAGE);
}

}  // namespace linnet
