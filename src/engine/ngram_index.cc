#include "engine/ngram_index.h"

#include <algorithm>

namespace linnet {
namespace {

// Exact: tokens are below 2^21 in every vocabulary, and three of them fit.
uint64_t KeyOf(std::span<const int32_t> tokens) {
  uint64_t key = 0;
  for (const int32_t token : tokens) key = key << 21 | (static_cast<uint64_t>(token) & 0x1fffff);
  return key;
}

}  // namespace

void NgramIndex::Push(int32_t token) {
  if (tokens_.size() >= most_) {
    tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<ptrdiff_t>(tokens_.size() / 2));
    for (Places& places : places_) places.clear();
    indexed_ = 0;
  }
  tokens_.push_back(token);
}

// The n-grams before each token.
void NgramIndex::IndexNew() {
  for (; indexed_ < tokens_.size(); ++indexed_) {
    for (size_t i = 0; i < std::size(kLengths); ++i) {
      const size_t length = kLengths[i];
      if (indexed_ < length) continue;
      const auto gram = std::span<const int32_t>(tokens_).subspan(indexed_ - length, length);
      places_[i][KeyOf(gram)].push_back(static_cast<uint32_t>(indexed_));
    }
  }
}

const std::vector<uint32_t>* NgramIndex::Find(std::span<const int32_t> text, size_t i) const {
  if (text.size() < kLengths[i]) return nullptr;
  const auto at = places_[i].find(KeyOf(text.last(kLengths[i])));
  return at == places_[i].end() ? nullptr : &at->second;
}

std::optional<size_t> NgramIndex::After(std::span<const int32_t> text) {
  IndexNew();
  for (size_t i = 0; i < std::size(kLengths); ++i) {
    if (const auto* places = Find(text, i)) return places->back();
  }
  return std::nullopt;
}

std::optional<size_t> NgramIndex::AfterFrom(std::span<const int32_t> text, size_t from) {
  IndexNew();
  for (size_t i = 0; i < std::size(kLengths); ++i) {
    const auto* places = Find(text, i);
    if (places == nullptr) continue;
    const auto at = std::lower_bound(places->begin(), places->end(), from);
    if (at != places->end()) return *at;
  }
  return std::nullopt;
}

}  // namespace linnet
