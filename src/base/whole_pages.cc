#include "base/whole_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace linnet {

void AdviseWholePages(std::span<const std::byte> range, int advice) noexcept {
  if (range.empty()) return;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(range.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(range.data() + range.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace linnet
