// RandomToken: how the walks of the grammar's checks choose among the tokens that are allowed.
#ifndef LINNET_TESTS_SCHEMA_WALKS_RANDOM_TOKEN_H_
#define LINNET_TESTS_SCHEMA_WALKS_RANDOM_TOKEN_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "grammar/token_trie.h"

namespace linnet {

// Texts that are written at random do not end soon: brackets and quotes that close are preferred,
// the more the longer the text is. Not thread-safe.
class RandomToken {
 public:
  explicit RandomToken(const TokenTrie& trie) : closes_(trie.vocab()) {
    for (size_t id = 0; id < trie.vocab(); ++id) {
      const auto bytes = trie.bytes(static_cast<int32_t>(id));
      closes_[id] = !bytes.empty() && bytes.find_first_not_of("]}\" ") == bytes.npos;
    }
  }

  // One of the tokens of a mask for this step of a text, or -1 if there is none.
  int32_t Choose(std::span<const uint64_t> mask, size_t step, std::mt19937& random) {
    all_.clear();
    closing_.clear();
    for (size_t word = 0; word < mask.size(); ++word) {
      for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
        const auto id = static_cast<int32_t>(word * 64 + __builtin_ctzll(bits));
        all_.push_back(id);
        if (closes_[static_cast<size_t>(id)]) closing_.push_back(id);
      }
    }
    if (all_.empty()) return -1;
    const bool close = !closing_.empty() && random() % 300 < 60 + step;
    const auto& from = close ? closing_ : all_;
    return from[random() % from.size()];
  }

 private:
  std::vector<bool> closes_;
  std::vector<int32_t> all_, closing_;
};

}  // namespace linnet

#endif  // LINNET_TESTS_SCHEMA_WALKS_RANDOM_TOKEN_H_
