#include "cli/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "cli/cli.h"
#include "cli/line_editor.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

class PlainReader : public LineReader {
 public:
  LineEnd Read(const std::string&, Line& line) override {
    line = {};
    for (;;) {
      const size_t end = bytes_.find('\n', begin_);
      line.text.append(bytes_, begin_, end - begin_);
      if (end != bytes_.npos) {
        begin_ = end + 1;
        break;
      }
      if (!Fill()) {
        if (line.text.empty()) return LineEnd::kInput;
        break;
      }
    }
    if (!line.text.empty() && line.text.back() == '\r') line.text.pop_back();
    return LineEnd::kLine;
  }
  void Remember(const std::string&) override {}
  bool interactive() const override { return false; }

 private:
  // Only waiting is interrupted, so available input is never lost. False at the end of the input.
  bool Fill() {
    for (;;) {
      pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {WakeDescriptor(), POLLIN, 0}};
      if (poll(ready, 2, -1) < 0 && errno != EINTR) break;
      if (InterruptScope::Ended()) throw Interruption();
      if (ready[0].revents == 0) {
        InterruptScope::Check();
        ClearWakes();
        continue;
      }
      char bytes[4096];
      const ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n < 0) break;
      bytes_.assign(bytes, static_cast<size_t>(n));
      begin_ = 0;
      return n > 0;
    }
    throw Error(ErrorKind::kIo, "stdin: cannot be read");
  }

  std::string bytes_;  // read; from begin_ on not yet returned
  size_t begin_ = 0;
};

}  // namespace

std::unique_ptr<LineReader> LineReader::New([[maybe_unused]] InputHistory history) {
#ifdef LINNET_WITH_LIBEDIT
  if (isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0) {
    return NewLineEditor(std::move(history));
  }
#endif
  return std::make_unique<PlainReader>();
}

}  // namespace linnet::cli
