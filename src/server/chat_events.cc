#include "server/chat_events.h"

namespace linnet {

ChatReply& ChatCollector::Of(size_t choice) {
  if (replies_.size() <= choice) replies_.resize(choice + 1);
  ChatReply& reply = replies_[choice];
  reply.message.role = ChatRole::kAssistant;
  return reply;
}

void ChatCollector::OnThought(size_t choice, std::string_view text) {
  Of(choice).message.thoughts += text;
}

void ChatCollector::OnText(size_t choice, std::string_view text,
                           std::span<const TokenInfo> tokens) {
  ChatReply& reply = Of(choice);
  reply.message.text += text;
  reply.tokens.insert(reply.tokens.end(), tokens.begin(), tokens.end());
}

void ChatCollector::OnCall(size_t choice, size_t call, const std::string& id,
                           const std::string& name) {
  auto& calls = Of(choice).message.calls;
  if (calls.size() <= call) calls.resize(call + 1);
  calls[call].id = id;
  calls[call].name = name;
}

void ChatCollector::OnArguments(size_t choice, size_t call, std::string_view json) {
  Of(choice).message.calls.at(call).arguments += json;
}

void ChatCollector::OnEnd(size_t choice, const ChatEnding& ending) { Of(choice).ending = ending; }

}  // namespace linnet
