// StatusLine: one line on the terminal of stderr, redrawn in place.
#ifndef LINNET_CLI_STATUS_LINE_H_
#define LINNET_CLI_STATUS_LINE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace linnet::cli {

// The line fits the width of the terminal when it is drawn. The cursor stays at the start of the
// line. If the terminal becomes narrower and wraps the line, the cursor is still at its start, so
// the whole line can be erased. One thread at a time.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine() { Erase(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  // Whether stderr is a terminal; if not, nothing is drawn.
  bool terminal() const { return terminal_; }

  // Columns that a line may use now: one less than the terminal has, because the last may wrap.
  size_t columns() const;

  // Replaces the line. Text that does not fit is cut.
  void Draw(std::string_view line);
  void Erase() noexcept;
  // Draws the line permanently: later output is below it.
  void Keep(std::string_view line);

 private:
  bool terminal_;
};

// Erases the line, if any. Call it before other output. Signal-safe.
void EraseStatusLine() noexcept;

// "DOING [####....]  42 %" in so many columns: a long `doing` is shortened in the middle, and the
// bar is omitted if there is little room.
std::string BarLine(std::string_view doing, double share, size_t columns);
// "[####....]" with so many columns, at least 2.
std::string Bar(double share, size_t columns);

}  // namespace linnet::cli

#endif  // LINNET_CLI_STATUS_LINE_H_
