// LineReader: lines from stdin, with editing and history on a terminal.
#ifndef LINNET_CLI_LINE_READER_H_
#define LINNET_CLI_LINE_READER_H_

#include <memory>
#include <string>

#include "cli/input_history.h"

namespace linnet::cli {

enum class LineEnd {
  kLine,
  kInput,   // the end of the input: Ctrl-D on an empty line
  kCleared  // Ctrl-C
};

struct Line {
  std::string text;     // without the line break; for kCleared, the cleared text
  bool pasted = false;  // it started with a paste of several lines
};

// Prompts and echo go to stderr, so that stdout has only results. Use it inside an InterruptScope.
// Only one may exist at a time.
class LineReader {
 public:
  // With editing and history if stdin and stderr are terminals; otherwise plain lines without
  // prompts.
  static std::unique_ptr<LineReader> New(InputHistory history);
  virtual ~LineReader() = default;

  // Throws Error kIo, and Interruption at SIGTERM and SIGHUP; without a terminal also at Ctrl-C.
  virtual LineEnd Read(const std::string& prompt, Line& line) = 0;

  // Adds an entry to the history; it may have several lines.
  virtual void Remember(const std::string& text) = 0;

  virtual bool interactive() const = 0;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_LINE_READER_H_
