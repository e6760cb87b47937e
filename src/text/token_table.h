// TokenTable: the bytes of each token id.
#ifndef LINNET_TEXT_TOKEN_TABLE_H_
#define LINNET_TEXT_TOKEN_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/vocabulary_file.h"

namespace linnet {

// Immutable; owns the concatenated bytes. Ids are 0 to kMaxTokenId.
class TokenTable {
 public:
  explicit TokenTable(const std::vector<VocabularyEntry>& entries) {
    int32_t last = -1;
    size_t total = 0;
    for (const VocabularyEntry& entry : entries) {
      LINNET_CHECK(entry.id >= 0 && entry.id <= kMaxTokenId);
      last = std::max(last, entry.id);
      total += entry.bytes.size();
    }
    places_.resize(static_cast<size_t>(last) + 1);
    LINNET_CHECK(total <= UINT32_MAX);
    bytes_.reserve(total);
    for (const VocabularyEntry& entry : entries) {
      places_[static_cast<size_t>(entry.id)] = {static_cast<uint32_t>(bytes_.size()),
                                                static_cast<uint32_t>(entry.bytes.size())};
      bytes_ += entry.bytes;
    }
  }

  size_t size() const { return places_.size(); }

  // Empty for ids without bytes and ids outside the table.
  std::string_view operator[](int32_t id) const {
    if (id < 0 || static_cast<size_t>(id) >= places_.size()) return {};
    const Place& place = places_[static_cast<size_t>(id)];
    return std::string_view(bytes_).substr(place.begin, place.length);
  }

 private:
  struct Place {
    uint32_t begin = 0, length = 0;
  };
  std::string bytes_;
  std::vector<Place> places_;
};

}  // namespace linnet

#endif  // LINNET_TEXT_TOKEN_TABLE_H_
