// Asking for huge pages: memory that is walked from end to end misses the TLB at every small one.
#ifndef LINNET_BASE_HUGE_PAGES_H_
#define LINNET_BASE_HUGE_PAGES_H_

#include <cstddef>
#include <span>

namespace linnet {

// Asks that the whole pages of a range, of a mapped file or of memory, be read into and mapped as
// huge ones. What is in the page cache already stays as it is, and a system may know better.
void AskForHugePages(std::span<const std::byte> range) noexcept;

}  // namespace linnet

#endif  // LINNET_BASE_HUGE_PAGES_H_
