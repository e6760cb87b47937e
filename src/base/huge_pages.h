// Requests huge pages: with small pages, sequential reads of large memory miss the TLB at every
// page.
#ifndef LINNET_BASE_HUGE_PAGES_H_
#define LINNET_BASE_HUGE_PAGES_H_

#include <cstddef>
#include <span>

namespace linnet {

// Requests that the whole pages of a range, of a mapped file or of memory, be read in and mapped as
// huge pages. Pages that are already in the page cache stay as they are; the system may ignore the
// request.
void AskForHugePages(std::span<const std::byte> range) noexcept;

}  // namespace linnet

#endif  // LINNET_BASE_HUGE_PAGES_H_
