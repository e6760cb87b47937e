// The tokenizers themselves; users choose one through linnet/tokenizer.h.
#ifndef LINNET_TEXT_TOKENIZERS_H_
#define LINNET_TEXT_TOKENIZERS_H_

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/tokenizer.h"
#include "text/vocabulary_file.h"

namespace linnet {

// Logits of the released models that the World vocabulary belongs to.
inline constexpr size_t kWorldVocabulary = 65536;

// Greedy: at each place the longest token that fits. Encode throws where none
// does. Not prefix-stable: text added at the end may change the last ids.
std::unique_ptr<const Tokenizer> NewWorldTokenizer(const std::vector<VocabularyEntry>& entries);

// GPT-NeoX 20B: `json` is the content of its tokenizer.json, `name` is for
// messages. Reads what that file uses (NFC, ByteLevel, BPE, added tokens) and
// throws Error kBadInput that names anything else.
std::unique_ptr<const Tokenizer> NewNeoxTokenizer(std::string_view json, const std::string& name);

// Id = byte.
std::unique_ptr<const Tokenizer> NewBytesTokenizer();

// The 20B file of a model of so many logits, where ForVocabulary (linnet/tokenizer.h) looks for it;
// empty if it has another vocabulary, or there is none.
std::filesystem::path NeoxFileOf(size_t vocab, const std::filesystem::path& model,
                                 const std::filesystem::path& home);

// From the content of a file of either kind.
std::unique_ptr<const Tokenizer> ParseTokenizer(std::string_view content, const std::string& name);

}  // namespace linnet

#endif  // LINNET_TEXT_TOKENIZERS_H_
