// For tests: small vocabularies, and what a constraint allows by trying each token.
#ifndef LINNET_GRAMMAR_TEST_CONSTRAINTS_H_
#define LINNET_GRAMMAR_TEST_CONSTRAINTS_H_

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/constraint.h"
#include "linnet/tokenizer.h"

namespace linnet {

// Tokens that tests choose. Ids without bytes are allowed, and equal tokens.
class ListedTokens : public Tokenizer {
 public:
  explicit ListedTokens(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}
  std::vector<int32_t> Encode(std::string_view) const override { return {}; }
  std::string_view Bytes(int32_t id) const override { return tokens_[static_cast<size_t>(id)]; }
  size_t size() const override { return tokens_.size(); }
  const char* name() const override { return "listed"; }

 private:
  std::vector<std::string> tokens_;
};

// Id 0 without bytes, all single bytes, and many short strings that grammars of the tests use.
inline const std::shared_ptr<const TokenTrie>& TestTrie() {
  static const std::shared_ptr<const TokenTrie> trie = [] {
    std::vector<std::string> tokens(1);
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
    for (const char* text :
         {"aa",   "ab",    "abc",      "abcabc",   "ba",   "xyz",      "00",    "12",
          "2024", "-0",    "1.5",      "e+",       "\": ", "{\"",      "\"}",   "\", \"",
          "[]",   "{}",    "[[",       "]]",       "], [", "true",     "false", "null",
          "\\\"", "\\u00", "\n    ",   "\n\n",     "  ",   " a",       "ab",    "é",
          "你",   "你好",  "\xE4\xBD", "\xA0\xE5", "name", "\"name\"", "id",    "value\":",
          "The",  " the",  " quick",   "aaaaaaaa", ",",    ", "}) {
      tokens.emplace_back(text);
    }
    return std::make_shared<const TokenTrie>(ListedTokens(tokens), tokens.size());
  }();
  return trie;
}

inline bool Allows(std::span<const uint64_t> mask, size_t id) {
  return (mask[id / 64] >> id % 64 & 1) != 0;
}

inline std::vector<int32_t> AllowedIds(std::span<const uint64_t> mask) {
  std::vector<int32_t> ids;
  for (size_t id = 0; id < mask.size() * 64; ++id) {
    if (Allows(mask, id)) ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

// Whether the grammar matches the whole text.
inline bool Matches(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Constraint constraint(grammar, TestTrie());
  return constraint.AcceptBytes(text) && constraint.may_end();
}

// A text of random allowed tokens that ends where it may, with this probability, or must; empty and
// false if it has not ended after `most` tokens.
inline std::pair<bool, std::string> RandomText(Constraint constraint, std::mt19937& random,
                                               double end = 0.2, size_t most = 400) {
  std::string text;
  for (size_t i = 0; i < most && !constraint.must_end(); ++i) {
    const std::vector<int32_t> ids = AllowedIds(constraint.Mask());
    const bool wants = std::uniform_real_distribution<>()(random) < end;
    if (constraint.may_end() && (wants || ids.empty())) break;
    if (ids.empty()) return {false, "dead end after: " + text};
    const int32_t id = ids[random() % ids.size()];
    text += constraint.trie().bytes(id);
    constraint.Accept(id);
  }
  return {constraint.may_end(), text};
}

}  // namespace linnet

#endif  // LINNET_GRAMMAR_TEST_CONSTRAINTS_H_
