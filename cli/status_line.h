// StatusLine: one line on stderr's terminal that is drawn over itself.
#ifndef LINNET_CLI_STATUS_LINE_H_
#define LINNET_CLI_STATUS_LINE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace linnet::cli {

// The line fits the terminal as it is when it is drawn. The cursor waits at the line's start: then
// a terminal that becomes narrower, and wraps the line, leaves the cursor where the line begins,
// and all of it can be erased. One thread at a time.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine() { Erase(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  // Whether stderr is one; if not, nothing is ever drawn.
  bool terminal() const { return terminal_; }

  // Columns that a line may use now: one less than the terminal has, as the last may wrap.
  size_t columns() const;

  // Instead of what is there. What does not fit is cut.
  void Draw(std::string_view line);
  void Erase() noexcept;
  // Draws the line for good: what follows is below it.
  void Keep(std::string_view line);

 private:
  bool terminal_;
};

// Erases the line that is drawn, if any, before anything else is said. A signal's handler may call
// it.
void EraseStatusLine() noexcept;

// "DOING [####....]  42 %" in so many columns: a long `doing` is shortened in its middle, and the
// bar goes where there is little room.
std::string BarLine(std::string_view doing, double share, size_t columns);
// "[####....]" of so many columns, at least 2.
std::string Bar(double share, size_t columns);

}  // namespace linnet::cli

#endif  // LINNET_CLI_STATUS_LINE_H_
