#include "grammar/token_trie.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace linnet {

TokenTrie::TokenTrie(const Tokenizer& tokenizer, size_t vocab) : vocab_(vocab) {
  constexpr size_t kLongest = std::numeric_limits<uint16_t>::max();
  begin_.reserve(vocab + 1);
  std::vector<int32_t> order;
  order.reserve(vocab);
  for (size_t id = 0; id < vocab; ++id) {
    begin_.push_back(text_.size());
    if (id >= tokenizer.size()) continue;
    const std::string_view bytes = tokenizer.Bytes(static_cast<int32_t>(id));
    if (bytes.empty() || bytes.size() > kLongest) continue;
    text_ += bytes;
    order.push_back(static_cast<int32_t>(id));
  }
  begin_.push_back(text_.size());
  std::sort(order.begin(), order.end(), [this](int32_t a, int32_t b) {
    const int sign = bytes(a).compare(bytes(b));
    return sign != 0 ? sign < 0 : a < b;
  });
  std::vector<uint32_t> path;  // the nodes of the bytes of the last token
  const auto leave = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) {
      nodes_[path.back()].skip = static_cast<uint32_t>(nodes_.size());
    }
  };
  std::string_view last;
  for (size_t i = 0; i < order.size(); ++i) {
    const std::string_view text = bytes(order[i]);
    if (i > 0 && text == last) {
      if (equal_.empty()) equal_.assign(vocab, -1);
      equal_[order[i - 1]] = order[i];
      continue;
    }
    const auto parts = std::mismatch(text.begin(), text.end(), last.begin(), last.end());
    leave(static_cast<size_t>(parts.first - text.begin()));
    while (path.size() < text.size()) {
      const auto depth = static_cast<uint16_t>(path.size());
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({0, -1, depth, static_cast<uint8_t>(text[depth])});
    }
    nodes_[path.back()].token = order[i];
    depth_ = std::max(depth_, text.size());
    last = text;
  }
  leave(0);
}

TokenTrie::Relatives TokenTrie::RelativesOf(std::string_view text) const {
  Relatives relatives;
  if (text.empty()) return relatives;
  for (size_t i = 0; i < nodes_.size();) {
    const Node& node = nodes_[i];
    const bool beyond = node.depth >= text.size();
    if (!beyond && node.byte != static_cast<uint8_t>(text[node.depth])) {
      i = node.skip;
      continue;
    }
    auto& list = node.depth + 1u < text.size() ? relatives.shorter : relatives.longer;
    for (int32_t token = node.token; token >= 0; token = next_equal(token)) list.push_back(token);
    ++i;
  }
  return relatives;
}

}  // namespace linnet
