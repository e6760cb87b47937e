// MessageReader: what someone says to a model, of one line or several.
#ifndef LINNET_CLI_MESSAGE_READER_H_
#define LINNET_CLI_MESSAGE_READER_H_

#include <chrono>
#include <optional>
#include <string>

#include "cli/line_reader.h"

namespace linnet::cli {

struct Message {
  std::string text;
  bool command = false;  // it begins with a / and may be one
};

// A message is a line; lines that are joined by a \ at their ends; those between """ and """; or a
// paste. Keeps a reference. One at a time.
class MessageReader {
 public:
  explicit MessageReader(LineReader& lines) : lines_(lines) {}

  // False at the end of the input. Ctrl-C clears what was typed; if that is nothing it says how to
  // leave, and throws Interruption if it comes again within two seconds.
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
