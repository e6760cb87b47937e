// LineReader: lines from stdin, edited and remembered where someone types them.
#ifndef LINNET_CLI_LINE_READER_H_
#define LINNET_CLI_LINE_READER_H_

#include <memory>
#include <string>

namespace linnet::cli {

// Prompts and echo go to stderr, so that stdout holds results only. One at a time.
class LineReader {
 public:
  // With editing, arrow keys and history if stdin and stderr are terminals; plain lines and no
  // prompts otherwise.
  static std::unique_ptr<LineReader> New();
  virtual ~LineReader() = default;

  // Without the line break; false at the end of the input. Throws Error kIo.
  virtual bool Read(const std::string& prompt, std::string& line) = 0;

  virtual bool interactive() const = 0;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_LINE_READER_H_
