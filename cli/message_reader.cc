#include "cli/message_reader.h"

#include <string_view>

#include "cli/cli.h"

namespace linnet::cli {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr auto kTwice = std::chrono::seconds(2);

// Removes the suffix, if `text` has it.
bool TakeEnd(std::string& text, std::string_view end) {
  if (!text.ends_with(end)) return false;
  text.resize(text.size() - end.size());
  return true;
}

}  // namespace

bool MessageReader::Read(Message& message) {
  for (;;) {
    message = {};
    Part part = ReadFirst(message);
    const bool quoted = quoted_;
    while (part == Part::kMore) part = ReadMore(message);
    if (part == Part::kEnd) return false;
    if (part == Part::kCleared) continue;
    warned_.reset();
    // A paste of several lines is text, except for /system, which takes several lines.
    message.command =
        message.command && message.text.starts_with('/') &&
        (message.text.find('\n') == message.text.npos || message.text.starts_with("/system "));
    // Remember a line that reads as the same message: a blank before a / makes it text.
    const bool literal = quoted && message.text.starts_with('/');
    if (!message.text.empty()) lines_.Remember((literal ? " " : "") + message.text);
    return true;
  }
}

MessageReader::Part MessageReader::ReadFirst(Message& message) {
  Line line;
  quoted_ = false;
  switch (lines_.Read("> ", line)) {
    case LineEnd::kInput:
      return Part::kEnd;
    case LineEnd::kCleared:
      OnCleared(!line.text.empty());
      return Part::kCleared;
    case LineEnd::kLine:
      break;
  }
  message.text = std::move(line.text);
  message.command = true;
  if (line.pasted) return Part::kWhole;
  if (message.text.starts_with(kQuotes)) {
    quoted_ = true;
    message.command = false;
    message.text.erase(0, kQuotes.size());
    if (TakeEnd(message.text, kQuotes)) return Part::kWhole;
    if (!message.text.empty()) message.text += '\n';
    return Part::kMore;
  }
  if (!TakeEnd(message.text, "\\")) return Part::kWhole;
  message.text += '\n';
  return Part::kMore;
}

MessageReader::Part MessageReader::ReadMore(Message& message) {
  Line line;
  switch (lines_.Read(". ", line)) {
    case LineEnd::kInput:  // also ends the message
      return Part::kWhole;
    case LineEnd::kCleared:
      OnCleared(true);
      return Part::kCleared;
    case LineEnd::kLine:
      break;
  }
  if (quoted_ ? TakeEnd(line.text, kQuotes) : !TakeEnd(line.text, "\\")) {
    message.text += line.text;
    if (quoted_ && message.text.ends_with('\n')) message.text.pop_back();
    return Part::kWhole;
  }
  message.text += line.text + '\n';
  return Part::kMore;
}

void MessageReader::OnCleared(bool something) {
  const auto now = std::chrono::steady_clock::now();
  if (something) {
    warned_.reset();
    return;
  }
  if (warned_ && now - *warned_ <= kTwice) throw Interruption();
  warned_ = now;
  Say("(Ctrl-C again, Ctrl-D or /quit to leave)\n");
}

}  // namespace linnet::cli
