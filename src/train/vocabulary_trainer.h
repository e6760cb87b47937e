// VocabularyTrainer: a World-format vocabulary out of a body of text.
#ifndef LINNET_TRAIN_VOCABULARY_TRAINER_H_
#define LINNET_TRAIN_VOCABULARY_TRAINER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/vocabulary_file.h"

namespace linnet {

// Bytes of the piece at the front of `text`, which no token crosses: a word with the blank before
// it ("don't" and "don’t" are one word), a run of punctuation with the blank before it, a digit, a
// run of blanks; and "\n\n", "\n" and ":" always by themselves, so that the ends of prompts are
// ends of tokens. 0 only if `text` is empty.
size_t FirstPiece(std::string_view text);

// Counts pieces of text, then chooses the entries with which the World tokenizer, which takes the
// longest match at each place, makes the fewest tokens of them: entries are added that would join
// the most tokens, and those that would be missed least are dropped, in turns. (Merges of a BPE
// would not do: greedy matching does not follow them.) The result depends on the text alone.
class VocabularyTrainer {
 public:
  void Add(std::string_view text);

  // The least and the most tokens that Train can be asked for.
  static std::pair<size_t, size_t> Sizes();

  // Entries with ids 1 to size - 1: all bytes, a few that chats need, and the best; by their length
  // and bytes from id 257 on. May be fewer, if the text has too few different pieces. `progress` is
  // told of steps done and of all, and may throw. Throws Error kBadInput if `size` is too small or
  // past kMaxTokenId + 1.
  std::vector<VocabularyEntry> Train(
      size_t size, const std::function<void(size_t, size_t)>& progress = {}) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, uint64_t, Hash, std::equal_to<>> counts_;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_VOCABULARY_TRAINER_H_
