#include "base/arena.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

}  // namespace

void* Arena::Allocate(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  while (current_ < blocks_.size() && used_ + bytes > blocks_[current_].size()) {
    ++current_;
    used_ = 0;
  }
  if (current_ == blocks_.size()) {
    // Doubling keeps the count of blocks small without a guess at the whole.
    const size_t last = blocks_.empty() ? kBlock / 2 : blocks_.back().size();
    // Large ones lie on huge pages: a training pass walks gigabytes of rows.
    blocks_.emplace_back(std::max(bytes, std::min(2 * last, 64 * kBlock)));
    used_ = 0;
  }
  void* result = blocks_[current_].data() + used_;
  used_ += bytes;
  return result;
}

size_t Arena::reserved_bytes() const {
  size_t bytes = 0;
  for (const Buffer& block : blocks_) bytes += block.size();
  return bytes;
}

}  // namespace linnet
