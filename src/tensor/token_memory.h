// TokenMemory: rows that a sequence keeps per token, in pages that copies share.
#ifndef LINNET_TENSOR_TOKEN_MEMORY_H_
#define LINNET_TENSOR_TOKEN_MEMORY_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"

namespace linnet {

enum class RowType : uint8_t { kF32, kF16, kI32 };

constexpr size_t BytesOf(RowType type) { return type == RowType::kF16 ? 2 : 4; }

// One row of `width` values per token.
struct RowSlot {
  std::string name;
  size_t width = 0;
  RowType type = RowType::kF32;
};

// Where the rows of each slot are within a page: slot after slot, each [kPageTokens, width]. Slots
// start at multiples of 64 bytes; so do rows of a multiple of 64 bytes.
class RowLayout {
 public:
  static constexpr size_t kPageTokens = 64;

  explicit RowLayout(std::vector<RowSlot> slots);

  const std::vector<RowSlot>& slots() const { return slots_; }
  size_t page_bytes() const { return page_bytes_; }
  size_t token_bytes() const { return token_bytes_; }  // of one token's rows
  size_t offset(size_t slot) const { return offsets_[slot]; }
  size_t row_bytes(size_t slot) const { return slots_[slot].width * BytesOf(slots_[slot].type); }

 private:
  std::vector<RowSlot> slots_;
  std::vector<size_t> offsets_;
  size_t page_bytes_ = 0, token_bytes_ = 0;
};

// The rows of tokens 0, 1, ... of one sequence. A copy shares the pages with the original, costs
// O(pages), and neither can change what the other reads: shared pages are never written. Not
// thread-safe, but a memory may be copied by several threads at once, and copies may be used on
// different threads.
class TokenMemory {
 public:
  static constexpr size_t kPageTokens = RowLayout::kPageTokens;

  TokenMemory() = default;  // without slots: it only counts tokens
  explicit TokenMemory(std::shared_ptr<const RowLayout> layout) : layout_(std::move(layout)) {}
  TokenMemory(const TokenMemory& other);
  TokenMemory(TokenMemory&& other) noexcept { Swap(other); }
  TokenMemory& operator=(TokenMemory other) noexcept {
    Swap(other);
    return *this;
  }
  ~TokenMemory() = default;

  const RowLayout* layout() const { return layout_.get(); }  // null without slots
  size_t tokens() const { return tokens_; }
  size_t pages() const { return pages_.size(); }
  // Tells pages apart: the same for a page that two memories share.
  const void* page(size_t i) const { return pages_[i].get(); }
  // Of all pages, also those that copies share.
  size_t bytes() const { return layout_ == nullptr ? 0 : pages_.size() * layout_->page_bytes(); }

  // Adds `count` tokens whose rows are 0. If the last page has room but is shared, it is copied.
  // Throws std::bad_alloc, and then nothing has changed.
  void Append(size_t count);

  // Drops the tokens from `tokens` on, if there are more. Copies keep theirs.
  void Truncate(size_t tokens);

  // The row of a token; the next token's follows it unless it starts a page. Valid until the token
  // is dropped or Append copies its page, and as long as a memory has the page.
  const std::byte* Row(size_t slot, size_t token) const {
    return pages_[token / kPageTokens]->data() + layout_->offset(slot) +
           token % kPageTokens * layout_->row_bytes(slot);
  }

  // The same to write, for tokens appended since the memory was last copied.
  std::byte* MutableRow(size_t slot, size_t token);

  // The number of leading pages that two memories share.
  friend size_t SharedPages(const TokenMemory& a, const TokenMemory& b);

 private:
  using Page = std::shared_ptr<Buffer>;

  void Swap(TokenMemory& other) noexcept;
  // Bytes of a page's first `rows` rows, slot by slot: body(offset, bytes before, bytes from
  // there).
  template <class F>
  void ForSlots(size_t rows, const F& body) const;
  bool LastPageIsPartial() const { return !pages_.empty() && tokens_ % kPageTokens != 0; }

  std::shared_ptr<const RowLayout> layout_;
  size_t tokens_ = 0;
  // In pages of this memory alone, rows beyond tokens_ are 0.
  std::vector<Page> pages_;
  // Pages before this one may be shared. A copy raises it in the original too.
  mutable std::atomic<size_t> frozen_{0};
};

// What attention reads of a sequence's past.
struct PastTokens {
  // The next tokens, whose rows are to be kept. Throws std::bad_alloc.
  void Append(std::span<const int32_t> ids);
  int32_t id(size_t token) const;

  // The rows of all tokens that the others are computed from. Slot 0 holds their ids.
  TokenMemory kept;
  // Keys and values, of as many tokens as have been computed; without slots if they are computed in
  // every pass.
  TokenMemory finished;
};

}  // namespace linnet

#endif  // LINNET_TENSOR_TOKEN_MEMORY_H_
