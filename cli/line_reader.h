// LineReader: lines from stdin, edited and remembered where someone types them.
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
  std::string text;     // without the line break; of kCleared, what was cleared
  bool pasted = false;  // it began with a paste of several lines
};

// Prompts and echo go to stderr, so that stdout holds results only. Use it inside an
// InterruptScope. One at a time.
class LineReader {
 public:
  // With editing, arrow keys and history if stdin and stderr are terminals; plain lines and no
  // prompts otherwise.
  static std::unique_ptr<LineReader> New(InputHistory history);
  virtual ~LineReader() = default;

  // Throws Error kIo, and Interruption at SIGTERM and SIGHUP; where nobody edits, at Ctrl-C, too.
  virtual LineEnd Read(const std::string& prompt, Line& line) = 0;

  // For the arrow keys; may have several lines.
  virtual void Remember(const std::string& text) = 0;

  virtual bool interactive() const = 0;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_LINE_READER_H_
