// Passages: the parts of a text that are searched for one by one.
#ifndef LINNET_TEXT_PASSAGES_H_
#define LINNET_TEXT_PASSAGES_H_

#include <cstddef>
#include <string_view>
#include <vector>

namespace linnet {

struct Passage {
  size_t begin = 0, bytes = 0;  // in the text, without blanks at either end
  size_t line = 1;              // the number of its first line
};

inline constexpr size_t kPassageBytes = 800;  // about 150 words of English

// Paragraphs, which blank lines divide, as many together as have at most `most` bytes (at least 4).
// A longer paragraph is cut behind a sentence, else a line, else a word, else a character. In
// order; every character that is no blank is in one passage. A Markdown heading stays with what
// follows it.
std::vector<Passage> SplitPassages(std::string_view text, size_t most = kPassageBytes);

}  // namespace linnet

#endif  // LINNET_TEXT_PASSAGES_H_
