// The tokenizer implementations; users choose one through linnet/tokenizer.h.
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

// The number of logits of released models with the World vocabulary.
inline constexpr size_t kWorldVocabulary = 65536;

// Greedy: takes the longest matching token at each position. Encode throws if none matches. Not
// prefix-stable: appended text may change the last ids.
std::unique_ptr<const Tokenizer> NewWorldTokenizer(const std::vector<VocabularyEntry>& entries);

// GPT-NeoX 20B: `json` is the content of its tokenizer.json, `name` is used in messages. Supports
// what that file uses (NFC, ByteLevel, BPE, added tokens). Throws Error kBadInput naming anything
// else.
std::unique_ptr<const Tokenizer> NewNeoxTokenizer(std::string_view json, const std::string& name);

// Id = byte.
std::unique_ptr<const Tokenizer> NewBytesTokenizer();

// The path of the 20B file for a model with `vocab` logits, found as in ForVocabulary
// (linnet/tokenizer.h). Empty if the model has another vocabulary, or the file does not exist.
std::filesystem::path NeoxFileOf(size_t vocab, const std::filesystem::path& model,
                                 const std::filesystem::path& home);

// Parses the content of a file of either kind.
std::unique_ptr<const Tokenizer> ParseTokenizer(std::string_view content, const std::string& name);

}  // namespace linnet

#endif  // LINNET_TEXT_TOKENIZERS_H_
