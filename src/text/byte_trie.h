// ByteTrie: finds the longest of many byte strings that is a prefix of a text.
#ifndef LINNET_TEXT_BYTE_TRIE_H_
#define LINNET_TEXT_BYTE_TRIE_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet {

// Immutable once built: any number of threads may use it at the same time. About 13 bytes per node.
// The first byte of a text is looked up in a table; in a large trie the second too.
class ByteTrie {
 public:
  struct Entry {
    std::string_view key;  // not empty, unlike all others
    int32_t id;            // not negative
  };
  struct Match {
    int32_t id = -1;  // -1: no key is a prefix of the text
    size_t length = 0;
  };

  ByteTrie() = default;
  explicit ByteTrie(std::vector<Entry> entries);

  Match Longest(std::string_view text) const;

 private:
  // Children are contiguous, sorted by their byte.
  struct Node {
    uint32_t first_child = 0;
    uint32_t children = 0;
    int32_t id = -1;
  };

  uint32_t Child(uint32_t node, uint8_t byte) const;  // 0: no such child

  std::vector<Node> nodes_ = {Node()};
  std::vector<uint8_t> bytes_ = {0};  // the byte that leads to each node
  std::array<uint32_t, 256> first_ = {};
  std::vector<uint32_t> second_;  // [256 * 256], the node after two bytes; may be empty
};

}  // namespace linnet

#endif  // LINNET_TEXT_BYTE_TRIE_H_
