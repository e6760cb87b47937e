#include "text/byte_trie.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace linnet {
namespace {

// With this many entries a table for two bytes, 256 KB, is worthwhile.
constexpr size_t kManyEntries = 4096;

}  // namespace

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  const auto before = [](const Entry& a, const Entry& b) { return a.key < b.key; };
  if (!std::is_sorted(entries.begin(), entries.end(), before)) {
    std::sort(entries.begin(), entries.end(), before);
  }
  // Breadth first: the entries of a node are a range with a common prefix of `depth` bytes.
  struct Range {
    size_t begin, end, depth;
  };
  std::vector<Range> ranges = {{0, entries.size(), 0}};
  for (size_t n = 0; n < ranges.size(); ++n) {
    auto [begin, end, depth] = ranges[n];
    if (begin < end && entries[begin].key.size() == depth) {
      LINNET_CHECK(depth > 0);
      nodes_[n].id = entries[begin++].id;
      LINNET_CHECK(begin == end || entries[begin].key.size() > depth);
    }
    nodes_[n].first_child = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const char byte = entries[begin].key[depth];
      size_t next = begin + 1;
      while (next < end && entries[next].key[depth] == byte) ++next;
      ranges.push_back({begin, next, depth + 1});
      nodes_.emplace_back();
      bytes_.push_back(static_cast<uint8_t>(byte));
      begin = next;
    }
    nodes_[n].children = static_cast<uint32_t>(nodes_.size()) - nodes_[n].first_child;
  }
  for (size_t a = 0; a < 256; ++a) first_[a] = Child(0, static_cast<uint8_t>(a));
  if (entries.size() < kManyEntries) return;
  second_.assign(256 * 256, 0);
  for (size_t a = 0; a < 256; ++a) {
    if (first_[a] == 0) continue;
    for (size_t b = 0; b < 256; ++b) {
      second_[a * 256 + b] = Child(first_[a], static_cast<uint8_t>(b));
    }
  }
}

uint32_t ByteTrie::Child(uint32_t node, uint8_t byte) const {
  const Node& n = nodes_[node];
  const uint8_t* begin = bytes_.data() + n.first_child;
  const void* found = n.children == 0 ? nullptr : std::memchr(begin, byte, n.children);
  if (found == nullptr) return 0;
  return n.first_child + static_cast<uint32_t>(static_cast<const uint8_t*>(found) - begin);
}

ByteTrie::Match ByteTrie::Longest(std::string_view text) const {
  Match match;
  if (text.empty()) return match;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto reached = [&](uint32_t node, size_t length) {
    if (nodes_[node].id >= 0) match = {nodes_[node].id, length};
  };
  uint32_t node = first_[byte(0)];
  if (node == 0) return match;
  reached(node, 1);
  if (text.size() == 1) return match;
  node = second_.empty() ? Child(node, byte(1)) : second_[byte(0) * 256u + byte(1)];
  for (size_t length = 2; node != 0; ++length) {
    reached(node, length);
    if (length == text.size()) break;
    node = Child(node, byte(length));
  }
  return match;
}

}  // namespace linnet
