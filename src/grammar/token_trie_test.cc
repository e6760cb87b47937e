#include "grammar/token_trie.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "grammar/test_constraints.h"

namespace linnet {
namespace {

std::vector<std::string> RandomTokens() {
  std::mt19937 random(5);
  std::vector<std::string> tokens = {""};
  for (int i = 0; i < 300; ++i) {
    std::string token(random() % 5, ' ');
    for (char& c : token) c = static_cast<char>("abc\xFF"[random() % 4]);
    tokens.push_back(token);
  }
  return tokens;
}

TEST(TokenTrieTest, DepthFirstNodesSpellAllTokens) {
  const std::vector<std::string> tokens = RandomTokens();
  const TokenTrie trie(ListedTokens(tokens), 280);  // fewer logits than tokens
  EXPECT_EQ(trie.words(), 5u);
  std::string path;
  std::vector<std::string> found(280);
  const auto nodes = trie.nodes();
  for (size_t i = 0; i < nodes.size(); ++i) {
    ASSERT_LE(nodes[i].depth, path.size());
    path.resize(nodes[i].depth);
    path += static_cast<char>(nodes[i].byte);
    for (int32_t id = nodes[i].token; id >= 0; id = trie.next_equal(id)) {
      EXPECT_EQ(tokens[static_cast<size_t>(id)], path);
      EXPECT_EQ(trie.bytes(id), path);
      found[static_cast<size_t>(id)] = path;
    }
    // All below, and nothing else, lies before the node to skip to.
    for (size_t j = i + 1; j < nodes.size(); ++j) {
      if (nodes[j].depth <= nodes[i].depth) {
        EXPECT_EQ(nodes[i].skip, j);
        break;
      }
      if (j + 1 == nodes.size()) {
        EXPECT_EQ(nodes[i].skip, nodes.size());
      }
    }
  }
  for (size_t id = 0; id < found.size(); ++id) EXPECT_EQ(found[id], tokens[id]);
}

TEST(TokenTrieTest, RelativesAreTokensThatBeginWithATextOrBeginIt) {
  const std::vector<std::string> tokens = RandomTokens();
  const TokenTrie trie(ListedTokens(tokens), tokens.size());
  for (const std::string text : {"", "a", "ab", "abca", "b\xFF", "x", "aaaaaa"}) {
    std::vector<int32_t> longer, shorter;
    for (size_t id = 0; id < tokens.size() && !text.empty(); ++id) {
      if (tokens[id].empty()) continue;
      if (tokens[id].starts_with(text)) {
        longer.push_back(static_cast<int32_t>(id));
      } else if (text.starts_with(tokens[id])) {
        shorter.push_back(static_cast<int32_t>(id));
      }
    }
    auto relatives = trie.RelativesOf(text);
    std::sort(relatives.longer.begin(), relatives.longer.end());
    std::sort(relatives.shorter.begin(), relatives.shorter.end());
    EXPECT_EQ(relatives.longer, longer) << text;
    EXPECT_EQ(relatives.shorter, shorter) << text;
  }
}

}  // namespace
}  // namespace linnet
