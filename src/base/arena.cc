#include "base/arena.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace linnet {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

}  // namespace

void Arena::Free::operator()(std::byte* p) const { std::free(p); }

void* Arena::Allocate(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  while (current_ < blocks_.size() && used_ + bytes > blocks_[current_].size) {
    ++current_;
    used_ = 0;
  }
  if (current_ == blocks_.size()) {
    // Doubling keeps the count of blocks small without a guess at the whole.
    const size_t last = blocks_.empty() ? kBlock / 2 : blocks_.back().size;
    const size_t size = std::max(bytes, std::min(2 * last, 64 * kBlock));
    auto* data = static_cast<std::byte*>(std::aligned_alloc(64, (size + 63) / 64 * 64));
    if (data == nullptr) throw std::bad_alloc();
    blocks_.push_back({std::unique_ptr<std::byte[], Free>(data), size});
    used_ = 0;
  }
  void* result = blocks_[current_].data.get() + used_;
  used_ += bytes;
  return result;
}

size_t Arena::reserved_bytes() const {
  size_t bytes = 0;
  for (const Block& block : blocks_) bytes += block.size;
  return bytes;
}

}  // namespace linnet
