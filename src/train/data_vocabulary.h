// NAME.vocab.json: identifies the vocabulary of the tokens in NAME.bin.
#ifndef LINNET_TRAIN_DATA_VOCABULARY_H_
#define LINNET_TRAIN_DATA_VOCABULARY_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

#include "linnet/tokenizer.h"

namespace linnet {

// Identifies a vocabulary: equal for all files that assign the same bytes to the same ids.
struct VocabularyId {
  std::string hash;   // 16 hex digits, of the ids and bytes of all tokens
  size_t tokens = 0;  // the largest id + 1

  bool operator==(const VocabularyId&) const = default;
};

VocabularyId IdOf(const Tokenizer& tokenizer);

// {"version":1,"hash":"…","tokens":N}
std::string FormatVocabularyId(const VocabularyId& id);
// Empty if the file does not exist, as with data of other programs. Throws Error kBadInput, with
// the file name, if it is damaged or has a newer version.
std::optional<VocabularyId> ReadVocabularyId(const std::filesystem::path& file);

}  // namespace linnet

#endif  // LINNET_TRAIN_DATA_VOCABULARY_H_
