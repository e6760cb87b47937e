// ReplyReader: the text of one choice, taken apart into thoughts, text and calls.
#ifndef LINNET_SERVER_REPLY_READER_H_
#define LINNET_SERVER_REPLY_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/call_reader.h"
#include "server/call_trigger.h"
#include "server/chat_events.h"

namespace linnet {

// How a reply is to be read.
struct ReplyForm {
  enum class Start : uint8_t {
    kReply,  // thoughts may come first; blanks before the text are dropped
    kText,   // only text; blanks before it are dropped
    kRest,   // the rest of a text: nothing is dropped
    kCall,   // the JSON of calls
  };
  Start start = Start::kReply;
  std::string begun{};  // what the prompt already has of it (kReply)
  // Finds calls after or instead of text; null if there are none to be found.
  std::shared_ptr<const CallTrigger> trigger{};
  std::vector<std::string> tools{};  // the names that the trigger numbers
};

// The form and the events outlive it. Not thread-safe.
class ReplyReader {
 public:
  ReplyReader(const ReplyForm& form, size_t choice, ChatEvents& events);
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  // The next part of the text, whole UTF-8 characters, and the tokens that it came from.
  void Push(std::string_view text, std::span<const TokenInfo> tokens);
  // Nothing follows: hands out what was held back.
  void Finish();

  size_t calls() const { return calls_; }
  size_t thought_tokens() const { return thought_tokens_; }
  // The calls are complete, or there are none.
  bool calls_complete() const { return calls_ == 0 || reader_.done(); }

 private:
  enum class State : uint8_t { kStart, kThought, kAfterThought, kText, kCall };

  void Take(std::string_view text);
  std::string_view TakeStart(std::string_view text);
  std::string_view TakeThought(std::string_view text);
  std::string_view TakeText(std::string_view text);
  void Show(std::string_view text);
  void BeginCall(const std::string& name);

  const ReplyForm& form_;
  const size_t choice_;
  ChatEvents& events_;
  State state_ = State::kStart;
  bool drop_blanks_ = true;  // before the first character of thoughts or text
  std::string held_;         // may be the beginning of a tag or of a call
  std::string blanks_;       // before what may be a call
  uint32_t trigger_state_ = 0;
  std::string shown_;  // text of this Push
  std::vector<TokenInfo> tokens_;
  size_t thought_tokens_ = 0;
  CallReader reader_;
  size_t calls_ = 0;
};

}  // namespace linnet

#endif  // LINNET_SERVER_REPLY_READER_H_
