#include "base/arena.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

}  // namespace

void* Arena::Allocate(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  while (current_ < blocks_.size() && used_ + bytes > blocks_[current_].memory.size()) {
    ++current_;
    used_ = 0;
  }
  if (current_ == blocks_.size()) {
    // Doubling keeps the number of blocks small without knowing the total size.
    const size_t last = blocks_.empty() ? kBlock / 2 : blocks_.back().memory.size();
    const size_t begin = reserved_bytes();
    // Large blocks use huge pages: a training pass reads gigabytes of rows.
    blocks_.push_back({Buffer(std::max(bytes, std::min(2 * last, 64 * kBlock))), begin});
    used_ = 0;
  }
  const Block& block = blocks_[current_];
  void* result = block.memory.data() + used_;
  used_ += bytes;
  most_ = std::max(most_, block.begin + used_);
  return result;
}

size_t Arena::reserved_bytes() const {
  return blocks_.empty() ? 0 : blocks_.back().begin + blocks_.back().memory.size();
}

}  // namespace linnet
