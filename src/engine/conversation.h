// Conversation: turns of a user and a model, that can be taken back.
#ifndef LINNET_ENGINE_CONVERSATION_H_
#define LINNET_ENGINE_CONVERSATION_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/session.h"
#include "text/chat_template.h"

namespace linnet {

struct ConversationOptions {
  const ChatTemplate* chat_template = nullptr;
  std::string system{};
  Think think = Think::kNone;
  size_t max_tokens = 1024;          // of a reply
  std::vector<std::string> stops{};  // beside the template's
  // What the states of earlier turns may take; bytes. The last turn's are always
  // kept.
  size_t history_bytes = size_t{512} << 20;
};

// States are kept before each turn and before each reply, so going back runs no
// token again. The exception is a reply that held thoughts: they do not belong
// into the history, so the next turn reads the one before it again without them.
// Keeps a reference to the session. One thread at a time.
class Conversation {
 public:
  // Starts where `session` stands: at the very start of a text, or behind a
  // reply. Throws Error kBadInput if the template knows no thoughts and `think`
  // wants some.
  Conversation(Session& session, ConversationOptions options);

  // A turn: reads `user` and writes the reply, with its thoughts. If `watcher` interrupts before
  // the reply has begun, nothing has happened; if later, the turn stands as it is.
  Written Ask(std::string_view user, const Watcher& watcher);

  // The last turn's reply again, drawn anew. Needs turns() > 0.
  Written Retry(const Watcher& watcher);

  // Takes the last turn back. Needs turns() > 0.
  void Undo();

  // Back to where it was constructed, with the system text of the options.
  void Reset();
  // Goes on behind this state, or from it if it is the start of a text as tuned
  // states are; its turns cannot be taken back.
  void GoTo(Snapshot snapshot);

  // Behind the last reply.
  Snapshot Here();

  size_t turns() const { return turns_.size(); }   // that can be taken back
  size_t forgotten() const { return forgotten_; }  // turns whose states were let go

  // Changes count from the next reply on, `system` from the next Reset on.
  ConversationOptions& options() { return options_; }
  Session& session() { return session_; }

 private:
  using Shared = std::shared_ptr<const Snapshot>;
  // A state, and text that was not fed yet but belongs before the next turn.
  struct Position {
    Shared at;
    std::string lead;
  };
  struct Turn {
    Position before;
    std::string user;
    Think think;
    Shared ready;  // the prompt is read
  };

  Position StartOf(Shared at) const;
  Written Reply(const Turn& turn, const Watcher& watcher);
  void ForgetOldTurns();

  Session& session_;
  ConversationOptions options_;
  Shared base_;
  Position here_;
  std::deque<Turn> turns_;
  size_t forgotten_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_CONVERSATION_H_
