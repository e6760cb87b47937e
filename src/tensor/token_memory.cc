#include "tensor/token_memory.h"

#include <cstring>
#include <iterator>

#include "base/check.h"

namespace linnet {
namespace {

constexpr size_t RoundUpToLine(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

RowLayout::RowLayout(std::vector<RowSlot> slots) : slots_(std::move(slots)) {
  offsets_.reserve(slots_.size());
  for (size_t i = 0; i < slots_.size(); ++i) {
    offsets_.push_back(page_bytes_);
    page_bytes_ += RoundUpToLine(kPageTokens * row_bytes(i));
    token_bytes_ += row_bytes(i);
  }
}

TokenMemory::TokenMemory(const TokenMemory& other)
    : layout_(other.layout_),
      tokens_(other.tokens_),
      pages_(other.pages_),
      frozen_(other.pages_.size()) {
  other.frozen_.store(other.pages_.size(), std::memory_order_relaxed);
}

void TokenMemory::Swap(TokenMemory& other) noexcept {
  std::swap(layout_, other.layout_);
  std::swap(tokens_, other.tokens_);
  std::swap(pages_, other.pages_);
  frozen_ = other.frozen_.exchange(frozen_);
}

template <class F>
void TokenMemory::ForSlots(size_t rows, const F& body) const {
  for (size_t i = 0; i < layout_->slots().size(); ++i) {
    const size_t bytes = layout_->row_bytes(i);
    body(layout_->offset(i), rows * bytes, (kPageTokens - rows) * bytes);
  }
}

void TokenMemory::Append(size_t count) {
  const size_t page_bytes = layout_ == nullptr ? 0 : layout_->page_bytes();
  if (count == 0 || page_bytes == 0) {
    tokens_ += count;
    return;
  }
  const size_t needed = (tokens_ + count + kPageTokens - 1) / kPageTokens;
  Page own_last;
  if (LastPageIsPartial() && frozen_ == pages_.size()) {
    own_last = std::make_shared<Buffer>(page_bytes);
    ForSlots(tokens_ % kPageTokens, [&](size_t offset, size_t used, size_t /*unused*/) {
      std::memcpy(own_last->data() + offset, pages_.back()->data() + offset, used);
    });
  }
  std::vector<Page> fresh(needed - pages_.size());
  for (Page& page : fresh) page = std::make_shared<Buffer>(page_bytes);
  const size_t last = pages_.size();
  pages_.insert(pages_.end(), std::make_move_iterator(fresh.begin()),
                std::make_move_iterator(fresh.end()));
  // Nothing below throws.
  if (own_last != nullptr) {
    pages_[last - 1] = std::move(own_last);
    frozen_ = last - 1;
  }
  tokens_ += count;
}

void TokenMemory::Truncate(size_t tokens) {
  if (tokens >= tokens_) return;
  tokens_ = tokens;
  if (pages_.empty()) return;
  pages_.resize((tokens + kPageTokens - 1) / kPageTokens);
  frozen_ = std::min(frozen_.load(), pages_.size());
  if (LastPageIsPartial() && frozen_ < pages_.size()) {
    ForSlots(tokens % kPageTokens, [&](size_t offset, size_t used, size_t unused) {
      std::memset(pages_.back()->data() + offset + used, 0, unused);
    });
  }
}

std::byte* TokenMemory::MutableRow(size_t slot, size_t token) {
  LINNET_DCHECK(token < tokens_ && token / kPageTokens >= frozen_);
  return const_cast<std::byte*>(Row(slot, token));
}

void PastTokens::Append(std::span<const int32_t> ids) {
  const size_t first = kept.tokens();
  kept.Append(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    std::memcpy(kept.MutableRow(0, first + i), &ids[i], sizeof(int32_t));
  }
}

int32_t PastTokens::id(size_t token) const {
  int32_t id;
  std::memcpy(&id, kept.Row(0, token), sizeof(id));
  return id;
}

size_t SharedPages(const TokenMemory& a, const TokenMemory& b) {
  const size_t most = std::min(a.pages_.size(), b.pages_.size());
  size_t shared = 0;
  while (shared < most && a.pages_[shared] == b.pages_[shared]) ++shared;
  return shared;
}

}  // namespace linnet
