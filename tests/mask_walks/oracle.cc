#include "mask_walks/oracle.h"

#include <llguidance.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace linnet {

OracleVocabulary::OracleVocabulary(const TokenTrie& trie) {
  std::vector<uint32_t> sizes;
  std::string bytes;
  for (size_t id = 0; id < trie.vocab(); ++id) {
    const std::string_view token = trie.bytes(static_cast<int32_t>(id));
    sizes.push_back(static_cast<uint32_t>(token.size()));
    bytes += token;
  }
  LlgTokenizerInitV2 init = {};
  init.struct_size = sizeof(init);
  init.vocab_size = static_cast<uint32_t>(trie.vocab());
  init.tok_eos = 0;
  init.token_lens = sizes.data();
  init.token_bytes = reinterpret_cast<const uint8_t*>(bytes.data());
  init.use_approximate_greedy_tokenize_fn = true;  // masks need no tokenizer
  char message[500];
  tokenizer_ = llg_new_tokenizer_v2(&init, message, sizeof(message));
  if (tokenizer_ == nullptr) {
    std::fprintf(stderr, "llguidance refuses the vocabulary: %s\n", message);
    std::exit(2);
  }
}

OracleVocabulary::~OracleVocabulary() { llg_free_tokenizer(tokenizer_); }

OracleText::OracleText(const OracleVocabulary& vocabulary, const char* kind,
                       const std::string& grammar) {
  LlgConstraintInit init = {};
  llg_constraint_init_set_defaults(&init, vocabulary.get());
  init.log_buffer_level = 0;
  init.log_stderr_level = 0;
  init.limits.verbose_errors = false;
  // Grammars of single characters need more than the defaults.
  init.limits.step_max_items = 500'000;
  init.limits.max_items_in_row = 100'000;
  init.limits.step_lexer_fuel = 20'000'000;
  matcher_ = llg_new_matcher(&init, kind, grammar.c_str());
}

OracleText::OracleText(const OracleText& other) : matcher_(llg_clone_matcher(other.matcher_)) {}

OracleText::~OracleText() { llg_free_matcher(matcher_); }

std::optional<std::string> OracleText::error() const {
  const char* const message = llg_matcher_get_error(matcher_);
  if (message == nullptr) return std::nullopt;
  return message;
}

std::span<const uint64_t> OracleText::Mask() {
  const size_t bytes = llg_matcher_get_mask_byte_size(matcher_);
  std::vector<uint32_t> words(bytes / sizeof(uint32_t));
  mask_.assign((words.size() + 1) / 2, 0);
  if (llg_matcher_compute_mask_into(matcher_, words.data(), bytes) != 0) return {};
  for (size_t i = 0; i < words.size(); ++i) mask_[i / 2] |= uint64_t{words[i]} << (i % 2 * 32);
  mask_[0] &= ~uint64_t{1};
  return mask_;
}

bool OracleText::may_end() const { return llg_matcher_is_accepting(matcher_); }

bool OracleText::Accept(int32_t token) {
  return llg_matcher_consume_token(matcher_, static_cast<uint32_t>(token)) == 0;
}

}  // namespace linnet
