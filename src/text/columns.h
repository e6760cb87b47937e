// Columns: the width of text on a terminal, and shortening to a width.
#ifndef LINNET_TEXT_COLUMNS_H_
#define LINNET_TEXT_COLUMNS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// The number of terminal columns of this text: two for a wide character, none for a combining one.
// Control characters and bytes that are not UTF-8 count as one.
size_t Columns(std::string_view text);

// The longest prefix of the text that fits into `columns`.
std::string_view CutToColumns(std::string_view text, size_t columns);

// The text, with "..." instead of its middle if it is longer than `columns`.
std::string ShortenMiddle(std::string_view text, size_t columns);

// The text with '?' for every control character, because these would move the cursor.
std::string WithoutControls(std::string_view text);

struct LinePart {
  std::string text;
  int rank;  // the part with the highest is dropped first; all differ
};

// Joins the parts with two blanks between them and drops those that do not fit into `columns`. The
// part of the lowest rank stays and is cut if necessary.
std::string JoinToFit(std::vector<LinePart> parts, size_t columns);

}  // namespace linnet

#endif  // LINNET_TEXT_COLUMNS_H_
