#include "text/bpe.h"

#include <algorithm>

#include "base/check.h"

namespace linnet {
namespace {

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

bool Later(const Bpe::Scratch::Candidate& a, const Bpe::Scratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
}

}  // namespace

void Bpe::SetMerge(int32_t left, int32_t right, uint32_t rank, int32_t merged) {
  merges_.insert_or_assign(PairKey(left, right), Merge{rank, merged});
}

void Bpe::Consider(int32_t at, Scratch& scratch) const {
  const auto& left = scratch.symbols[static_cast<size_t>(at)];
  if (left.next < 0) return;
  const auto& right = scratch.symbols[static_cast<size_t>(left.next)];
  const auto found = merges_.find(PairKey(left.id, right.id));
  if (found == merges_.end()) return;
  scratch.heap.push_back({found->second.rank, at, left.id, right.id, found->second.merged});
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), Later);
}

void Bpe::Encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  auto& symbols = scratch.symbols;
  symbols.clear();
  scratch.heap.clear();
  for (size_t i = 0; i < word.size(); ++i) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(word[i])];
    LINNET_DCHECK(id >= 0);
    const auto at = static_cast<int32_t>(i);
    symbols.push_back({id, i + 1 < word.size() ? at + 1 : -1, at - 1});
  }
  for (size_t i = 0; i + 1 < symbols.size(); ++i) Consider(static_cast<int32_t>(i), scratch);
  while (!scratch.heap.empty()) {
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), Later);
    const Scratch::Candidate top = scratch.heap.back();
    scratch.heap.pop_back();
    auto& left = symbols[static_cast<size_t>(top.at)];
    if (left.id != top.left || left.next < 0) continue;  // already merged
    auto& right = symbols[static_cast<size_t>(left.next)];
    if (right.id != top.right) continue;
    left.id = top.merged;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = top.at;
    if (left.previous >= 0) Consider(left.previous, scratch);
    Consider(top.at, scratch);
  }
  for (int32_t at = 0; at >= 0; at = symbols[static_cast<size_t>(at)].next) {
    ids.push_back(symbols[static_cast<size_t>(at)].id);
  }
}

}  // namespace linnet
