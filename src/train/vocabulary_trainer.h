// VocabularyTrainer: builds a World-format vocabulary from text.
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

// Length of the piece at the start of `text`. No token crosses a piece. A piece is a word with the
// blank before it ("don't" and "don’t" are one word), a run of punctuation with the blank before
// it, a digit, or a run of blanks; "\n\n", "\n" and ":" are always separate pieces, so that prompts
// end at token boundaries. 0 only if `text` is empty.
size_t FirstPiece(std::string_view text);

// Counts pieces of text, then chooses the entries that minimize the number of tokens with the World
// tokenizer, which takes the longest match at each position. Alternately adds the entries that save
// the most tokens and removes those that save the fewest. (BPE merges do not fit, because greedy
// matching does not follow them.) The result depends on the text alone.
class VocabularyTrainer {
 public:
  void Add(std::string_view text);

  // The smallest and largest size that Train accepts.
  static std::pair<size_t, size_t> Sizes();

  // Entries with ids 1 to size - 1: all bytes, a few that chats need, and the best ones, from id
  // 257 on ordered by length and bytes. May be fewer if the text has too few distinct pieces. Calls
  // `progress` with the completed and total steps; it may throw. Throws Error kBadInput if `size`
  // is too small or larger than kMaxTokenId + 1.
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
