// MessageReader: reads the user's messages, of one or several lines.
#ifndef LINNET_CLI_MESSAGE_READER_H_
#define LINNET_CLI_MESSAGE_READER_H_

#include <chrono>
#include <optional>
#include <string>

#include "cli/line_reader.h"

namespace linnet::cli {

struct Message {
  std::string text;
  bool command = false;  // it begins with a / and may be a command
};

// A message is one line, several lines joined by a \ at their ends, the lines between """ and """,
// or a paste. Keeps a reference. Only one may exist at a time.
class MessageReader {
 public:
  explicit MessageReader(LineReader& lines) : lines_(lines) {}

  // False at the end of the input. Ctrl-C clears the typed text. On an empty line it prints how to
  // leave, and a second Ctrl-C within two seconds throws Interruption.
  bool Read(Message& message);

 private:
  enum class Part { kWhole, kMore, kCleared, kEnd };

  Part ReadFirst(Message& message);
  Part ReadMore(Message& message);
  void OnCleared(bool something);

  LineReader& lines_;
  bool quoted_ = false;  // between """ and """
  std::optional<std::chrono::steady_clock::time_point> warned_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_MESSAGE_READER_H_
