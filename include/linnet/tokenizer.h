// Tokenizer: text to ids and back; World trie, GPT-NeoX 20B BPE, or bytes.
#ifndef LINNET_TOKENIZER_H_
#define LINNET_TOKENIZER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

class Model;

// Immutable: any number of threads may use one at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Throws Error kBadInput if the tokens cannot represent the text. This never happens if every
  // single byte is a token, as in the released vocabularies. The 20B tokenizer first normalizes to
  // NFC, and replaces invalid UTF-8 with U+FFFD.
  virtual std::vector<int32_t> Encode(std::string_view text) const = 0;

  // The bytes of one token, not always whole UTF-8 characters; empty for ids
  // that have none (World's 0, and those past the end of the vocabulary). Valid
  // as long as the tokenizer.
  virtual std::string_view Bytes(int32_t id) const = 0;

  virtual size_t size() const = 0;  // the largest id + 1
  // The number of logits of a model made for this tokenizer: size(), except for World, where
  // released models have 65536 logits for 65530 tokens.
  virtual size_t model_vocab() const { return size(); }
  virtual const char* name() const = 0;  // "world", "20b", "bytes"
  // 64 hex digits, the same for two tokenizers only if they give the same ids for every text and
  // the same bytes for every id. By default, of name() and all Bytes; a tokenizer whose ids depend
  // on more overrides it.
  virtual std::string Digest() const;

  // The concatenated bytes of all ids. To show text, use Utf8Stream.
  std::string Decode(std::span<const int32_t> ids) const;

  // Reads a World-format vocabulary (`id literal length` lines), web-rwkv's JSON form of one, or a
  // tokenizer.json. The content decides which. Throws Error: kIo, or kBadInput naming the file and
  // line.
  static std::shared_ptr<const Tokenizer> Load(const std::filesystem::path& path);

  // The tokenizer for a vocabulary of this size: 65536 World (built in), 50277 to 50304 the 20B
  // file (20B_tokenizer.json or tokenizer.json next to the file `model`, then
  // ~/.local/share/linnet/20B_tokenizer.json), 256 bytes. `home` replaces ~, by default the user's
  // entry in the password database. Throws Error kBadInput that says what is missing and asks for
  // --vocab, and what Load throws.
  static std::shared_ptr<const Tokenizer> ForVocabulary(size_t vocab,
                                                        const std::filesystem::path& model = {},
                                                        const std::filesystem::path& home = {});
};

// A model's own tokenizer: the vocabulary stored in its file, else the one that fits its size.
// Throws Error: what ForVocabulary throws (`home` as there), kBadModel or kBadInput if the stored
// vocabulary is damaged or does not fit.
std::shared_ptr<const Tokenizer> TokenizerOf(const Model& model,
                                             const std::filesystem::path& home = {});

// A vocabulary as a user names it: a file that Tokenizer::Load reads, or a model that contains one
// (as in Model::Named, so also a run's folder, or `builtin`). Throws Error: what those throw, and
// kBadInput for a model without a vocabulary.
std::shared_ptr<const Tokenizer> TokenizerNamed(const std::string& name);

// Joins token bytes into text that never ends inside a UTF-8 character. Invalid UTF-8 becomes
// U+FFFD, one for each maximal prefix of a character and for each byte that starts none (WHATWG
// Encoding Standard). The result does not depend on how the bytes are split. Copyable.
class Utf8Stream {
 public:
  // Returns what can be shown now.
  std::string Push(std::string_view bytes);
  // The rest at the end; an incomplete character becomes U+FFFD.
  std::string Finish();
  // Bytes of a character that is not complete yet.
  size_t held() const { return pending_.size(); }

 private:
  std::string pending_;
};

}  // namespace linnet

#endif  // LINNET_TOKENIZER_H_
