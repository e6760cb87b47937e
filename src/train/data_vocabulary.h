// NAME.vocab.json: which vocabulary the tokens of NAME.bin are of.
#ifndef LINNET_TRAIN_DATA_VOCABULARY_H_
#define LINNET_TRAIN_DATA_VOCABULARY_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

#include "linnet/tokenizer.h"

namespace linnet {

// A vocabulary as data knows it: the same for all files that give the same bytes to the same ids.
struct VocabularyId {
  std::string hash;   // 16 hex digits, over the ids and bytes of all tokens
  size_t tokens = 0;  // the largest id + 1

  bool operator==(const VocabularyId&) const = default;
};

VocabularyId IdOf(const Tokenizer& tokenizer);

// {"version":1,"hash":"…","tokens":N}
std::string FormatVocabularyId(const VocabularyId& id);
// Nothing if the file is not there, as beside data of other programs. Throws Error kBadInput if it
// is damaged, or of a newer version, by name.
std::optional<VocabularyId> ReadVocabularyId(const std::filesystem::path& file);

}  // namespace linnet

#endif  // LINNET_TRAIN_DATA_VOCABULARY_H_
