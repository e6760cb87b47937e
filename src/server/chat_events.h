// ChatEvents: the answer to a ChatRequest as it is written, in no API's words. Each dialect turns
// them into its own chunks.
#ifndef LINNET_SERVER_CHAT_EVENTS_H_
#define LINNET_SERVER_CHAT_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/job.h"
#include "server/request_state.h"
#include "text/chat_messages.h"

namespace linnet {

enum class ChatFinish : uint8_t {
  kStop,       // by itself, or at a stop string
  kLength,     // at the limit of tokens
  kCalls,      // after calls of functions
  kCancelled,  // by the client or the server
};

struct ChatEnding {
  ChatFinish finish = ChatFinish::kStop;
  std::string stop{};  // the stop string of the request that ended it; empty if none did
  size_t tokens = 0, thought_tokens = 0;
};

struct ChatUsage {
  size_t prompt_tokens = 0, cached_tokens = 0, kept_tokens = 0;  // as in PromptRead
  size_t completion_tokens = 0, reasoning_tokens = 0;            // of all choices
  // Guesses of tokens (engine/speculation.h), of all choices.
  size_t accepted_guesses = 0, rejected_guesses = 0;

  void AddGuesses(const SpeculationCounts& counts) {
    accepted_guesses += counts.accepted;
    rejected_guesses += counts.guessed - counts.accepted;
  }
};

// Called in this order on the scheduler's thread; must not block. A choice has thoughts, then text,
// then calls, any of which may be missing. Exactly one of OnDone and OnError is called, as the
// last.
class ChatEvents {
 public:
  virtual ~ChatEvents() = default;
  virtual void OnStart() {}  // left the queue
  virtual void OnPrompt(const PromptRead& /*read*/) {}
  virtual void OnThought(size_t /*choice*/, std::string_view /*text*/) {}
  // Whole UTF-8 characters. The tokens are those written for this text, and carry probabilities if
  // the request wants them. The last of a choice may have no text.
  virtual void OnText(size_t /*choice*/, std::string_view /*text*/,
                      std::span<const TokenInfo> /*tokens*/) {}
  // Call number `call` of the choice begins; its arguments follow.
  virtual void OnCall(size_t /*choice*/, size_t /*call*/, const std::string& /*id*/,
                      const std::string& /*name*/) {}
  virtual void OnArguments(size_t /*choice*/, size_t /*call*/, std::string_view /*json*/) {}
  virtual void OnEnd(size_t /*choice*/, const ChatEnding& /*ending*/) {}
  // The state after the answer, if the request wants it. From here on another thread may call.
  virtual void OnState(const ReplyState& /*state*/) {}
  virtual void OnDone(const ChatUsage& /*usage*/) {}
  virtual void OnError(const Error& /*error*/) {}
};

// A whole choice.
struct ChatReply {
  ChatMessage message{};
  ChatEnding ending{};
  std::vector<TokenInfo> tokens{};  // of the text
};

// Collects the choices; a dialect that does not stream answers in OnDone.
class ChatCollector : public ChatEvents {
 public:
  void OnPrompt(const PromptRead& read) override { read_ = read; }
  void OnThought(size_t choice, std::string_view text) override;
  void OnText(size_t choice, std::string_view text, std::span<const TokenInfo> tokens) override;
  void OnCall(size_t choice, size_t call, const std::string& id, const std::string& name) override;
  void OnArguments(size_t choice, size_t call, std::string_view json) override;
  void OnEnd(size_t choice, const ChatEnding& ending) override;
  void OnState(const ReplyState& state) override { state_ = state; }

  const PromptRead& read() const { return read_; }
  const std::vector<ChatReply>& replies() const { return replies_; }
  const std::optional<ReplyState>& state() const { return state_; }

 private:
  ChatReply& Of(size_t choice);

  PromptRead read_{};
  std::vector<ChatReply> replies_;
  std::optional<ReplyState> state_;
};

}  // namespace linnet

#endif  // LINNET_SERVER_CHAT_EVENTS_H_
