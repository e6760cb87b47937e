#include "base/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace linnet {
namespace {

// From this size on a separate mapping pays off: decoding reads all weights for every token, and
// with small pages that misses the TLB at every page.
constexpr size_t kHuge = size_t{2} << 20;

}  // namespace

Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  if (bytes < kHuge) {
    data_ = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(data_, 0, bytes);
    return;
  }
  void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) throw std::bad_alloc();
  madvise(map, bytes, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(map);
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (size_ < kHuge) {
    std::free(data_);
  } else {
    munmap(data_, size_);
  }
}

}  // namespace linnet
