// Columns: how wide text is on a terminal, and text made to fit.
#ifndef LINNET_TEXT_COLUMNS_H_
#define LINNET_TEXT_COLUMNS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// The columns that a terminal uses for this text: two for a wide character, none for one that
// combines. Control characters and bytes that are not UTF-8 count one.
size_t Columns(std::string_view text);

// The longest start of the text that fits into so many columns.
std::string_view CutToColumns(std::string_view text, size_t columns);

// The text, with "..." instead of its middle if it is longer than `columns`.
std::string ShortenMiddle(std::string_view text, size_t columns);

// The text with '?' for every control character, which would move the cursor.
std::string WithoutControls(std::string_view text);

struct LinePart {
  std::string text;
  int rank;  // the part with the highest is dropped first; all differ
};

// The parts, two blanks between them, without those that do not fit into `columns`. The part of
// the lowest rank stays; it is cut if it must.
std::string JoinToFit(std::vector<LinePart> parts, size_t columns);

}  // namespace linnet

#endif  // LINNET_TEXT_COLUMNS_H_
