#include "cli/status_line.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "text/columns.h"

namespace linnet::cli {
namespace {

constexpr std::string_view kErase =
    "\r\x1b[J";  // from the start of the line to the end of the screen
constexpr size_t kUnknownWidth = 80;

volatile sig_atomic_t g_drawn = 0;

void Write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

StatusLine::StatusLine() : terminal_(isatty(STDERR_FILENO) != 0) {}

size_t StatusLine::columns() const {
  winsize size = {};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return (known ? size.ws_col : kUnknownWidth) - 1;
}

void StatusLine::Draw(std::string_view line) {
  if (!terminal_) return;
  const std::string text = WithoutControls(line);
  g_drawn = 1;
  Write(fmt::format("{}{}\r", kErase, CutToColumns(text, columns())));
}

void StatusLine::Erase() noexcept { EraseStatusLine(); }

void StatusLine::Keep(std::string_view line) {
  if (!terminal_) return;
  Draw(line);
  g_drawn = 0;
  Write("\n");
}

void EraseStatusLine() noexcept {
  if (g_drawn == 0) return;
  const int error = errno;
  g_drawn = 0;
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, kErase.data(), kErase.size());
  errno = error;
}

std::string Bar(double share, size_t columns) {
  const size_t width = columns - 2;
  const auto filled = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width));
  return fmt::format("[{:.<{}}]", std::string(filled, '#'), width);
}

std::string BarLine(std::string_view doing, double share, size_t columns) {
  constexpr size_t kLabel = 20;              // columns for `doing` next to a bar
  constexpr size_t kLeast = 12, kMost = 34;  // columns of a bar
  const std::string percent = fmt::format("{:3.0f} %", 100 * share);
  const size_t needed = percent.size() + 1;
  if (columns <= needed) return std::string(CutToColumns(percent, columns));
  const size_t room = columns - needed, wanted = Columns(doing);
  if (room < std::min(wanted, kLabel) + 1 + kLeast) {
    return fmt::format("{} {}", ShortenMiddle(doing, room), percent);
  }
  const size_t bar = std::clamp(room - std::min(wanted + 1, room), kLeast, kMost);
  return fmt::format("{} {} {}", ShortenMiddle(doing, room - 1 - bar), Bar(share, bar), percent);
}

}  // namespace linnet::cli
