// The other implementation of constrained output, the crate llguidance, behind its C interface.
#ifndef LINNET_TESTS_MASK_WALKS_ORACLE_H_
#define LINNET_TESTS_MASK_WALKS_ORACLE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grammar/token_trie.h"

struct LlgTokenizer;
struct LlgMatcher;

namespace linnet {

// The vocabulary, with token 0 as the one that ends a text. Immutable: shared by threads.
class OracleVocabulary {
 public:
  explicit OracleVocabulary(const TokenTrie& trie);  // aborts if the oracle refuses it
  ~OracleVocabulary();
  OracleVocabulary(const OracleVocabulary&) = delete;
  OracleVocabulary& operator=(const OracleVocabulary&) = delete;

  const LlgTokenizer* get() const { return tokenizer_; }

 private:
  LlgTokenizer* tokenizer_;
};

// A text under a grammar of the oracle; a copy is a fork. Not thread-safe.
class OracleText {
 public:
  // The kinds of llguidance: "regex", "lark", "json".
  OracleText(const OracleVocabulary& vocabulary, const char* kind, const std::string& grammar);
  OracleText(const OracleText& other);
  OracleText& operator=(const OracleText&) = delete;
  ~OracleText();

  // Why the grammar was refused, or what failed later.
  std::optional<std::string> error() const;
  // The tokens that may come next, without token 0; empty if that failed.
  std::span<const uint64_t> Mask();
  bool may_end() const;
  bool Accept(int32_t token);  // whether it did

 private:
  LlgMatcher* matcher_;
  std::vector<uint64_t> mask_;
};

}  // namespace linnet

#endif  // LINNET_TESTS_MASK_WALKS_ORACLE_H_
