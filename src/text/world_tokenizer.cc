#include <fmt/format.h>

#include <string>

#include "linnet/error.h"
#include "text/byte_trie.h"
#include "text/token_table.h"
#include "text/tokenizers.h"

namespace linnet {
namespace {

class WorldTokenizer final : public Tokenizer {
 public:
  explicit WorldTokenizer(const std::vector<VocabularyEntry>& entries) : table_(entries) {
    std::vector<ByteTrie::Entry> keys;
    keys.reserve(entries.size());
    for (const VocabularyEntry& entry : entries) keys.push_back({entry.bytes, entry.id});
    trie_ = ByteTrie(std::move(keys));
  }

  std::vector<int32_t> Encode(std::string_view text) const override {
    const std::string_view whole = text;
    std::vector<int32_t> ids;
    ids.reserve(text.size() / 4 + 1);
    while (!text.empty()) {
      const ByteTrie::Match match = trie_.Longest(text);
      if (match.length == 0) throw Unspellable(whole.size() - text.size(), text.front());
      ids.push_back(match.id);
      text.remove_prefix(match.length);
    }
    return ids;
  }

  std::string_view Bytes(int32_t id) const override { return table_[id]; }
  size_t size() const override { return table_.size(); }
  size_t model_vocab() const override { return IsReleased() ? kWorldVocabulary : size(); }
  const char* name() const override { return "world"; }

 private:
  // Vocabularies for special tasks may not have a token for every byte.
  static Error Unspellable(size_t at, char byte) {
    return Error(
        ErrorKind::kBadInput,
        fmt::format("the vocabulary has no token for the text's byte 0x{:02x} at {}, nor a "
                    "longer one that begins there; give the vocabulary of this text",
                    static_cast<uint8_t>(byte), at));
  }

  // No other vocabulary has this many tokens and contains these.
  bool IsReleased() const {
    return size() == 65530 && table_[24281] == "User" && table_[65529] == std::string(128, ' ');
  }

  TokenTable table_;
  ByteTrie trie_;
};

}  // namespace

std::unique_ptr<const Tokenizer> NewWorldTokenizer(const std::vector<VocabularyEntry>& entries) {
  return std::make_unique<WorldTokenizer>(entries);
}

}  // namespace linnet
