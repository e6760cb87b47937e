// AdviseWholePages: madvise(2) for a range that need not begin or end with a page.
#ifndef LINNET_BASE_WHOLE_PAGES_H_
#define LINNET_BASE_WHOLE_PAGES_H_

#include <cstddef>
#include <span>

namespace linnet {

// Advises about the pages that lie wholly inside the range. Advice that the system ignores is no
// error.
void AdviseWholePages(std::span<const std::byte> range, int advice) noexcept;

}  // namespace linnet

#endif  // LINNET_BASE_WHOLE_PAGES_H_
