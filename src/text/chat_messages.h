// ChatMessage: what was said in a conversation and by whom, with calls of tools.
#ifndef LINNET_TEXT_CHAT_MESSAGES_H_
#define LINNET_TEXT_CHAT_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

enum class ChatRole : uint8_t { kSystem, kUser, kAssistant, kTool };

// A function that the model may call.
struct ChatTool {
  std::string name{}, description{};
  std::string parameters{};  // JSON schema of the arguments; empty: any object
  bool strict = false;
};

// A call that the model wrote.
struct ChatCall {
  std::string id{}, name{};
  std::string arguments{};  // JSON
};

struct ChatMessage {
  ChatRole role = ChatRole::kUser;
  std::string text{};
  std::string thoughts{};         // of the assistant; never part of a prompt
  std::vector<ChatCall> calls{};  // of the assistant
  std::string call_id{};          // of a tool: the call that this answers
  std::string name{};             // of a tool or a speaker; may be empty
};

// A conversation as the text that the model reads.
struct ChatPrompt {
  std::string text{};
  // Where each message ends in `text`, in bytes. A later prompt with the same messages has the same
  // text up to there.
  std::vector<size_t> ends{};
  // The end of `text` that is already part of the reply, as " <think" or " ```json\n".
  std::string reply_start{};
};

}  // namespace linnet

#endif  // LINNET_TEXT_CHAT_MESSAGES_H_
