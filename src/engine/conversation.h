// Conversation: turns of a user and a model that can be taken back.
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

// What was said in a turn: the user's text as it came, and the reply as it was shown.
struct Exchange {
  std::string user, reply;
  size_t bytes() const { return user.size() + reply.size(); }
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

  // The last turn's reply again, drawn anew. Needs can_retry().
  Written Retry(const Watcher& watcher);

  // Takes the last step back: a turn, a Reset or a GoTo. Needs steps() > 0.
  void Undo();

  // Back to where it was constructed, with the system text of the options.
  void Reset();
  // Goes on behind this state, or from it if it is the start of a text as tuned states are.
  void GoTo(Snapshot snapshot);

  // Writes the turns that follow this way; at the start of a talk its opening, too. Throws Error
  // kBadInput, and changes nothing, if the template knows no thoughts and `think` wants some.
  void SetTemplate(const ChatTemplate& form, Think think);

  // Behind the last reply.
  Snapshot Here();

  size_t steps() const { return steps_.size(); }   // that can be taken back
  size_t forgotten() const { return forgotten_; }  // steps whose states were let go
  bool can_retry() const { return !steps_.empty() && steps_.back().ready != nullptr; }

  // What was said since the talk began, by the last Reset or GoTo or from the start; without the
  // first `missing()` turns of a very long one.
  std::vector<Exchange> exchanges() const;
  size_t missing() const;
  const std::string& system() const { return talk_.system; }  // that it began with

  // Tokens of the text so far. If it goes on from a state that some text had left, those since:
  // then whole() is false.
  size_t tokens() const;
  bool whole() const { return talk_.whole; }

  // Changes count from the next reply on, `system` from the next Reset on.
  ConversationOptions& options() { return options_; }
  Session& session() { return session_; }

 private:
  using Shared = std::shared_ptr<const Snapshot>;
  // A state, and text that was not fed yet but belongs before the next turn.
  struct Position {
    Shared at;
    std::string lead;
    size_t end;  // bytes at the end of `lead` that only separate turns
    bool start;  // of a talk: the lead is the template's opening
  };
  struct Talk {
    std::string system;
    bool whole;
  };
  // A turn, or a jump to the start of another talk.
  struct Step {
    Position before;
    Think think = Think::kNone;
    Shared ready{};  // the prompt is read; null for a jump
    Exchange said{};
    Talk left{};  // by a jump
  };

  Position At(Shared at, std::string lead, bool start = false) const;
  Position StartOf(Shared at) const;
  void JumpTo(Shared at);
  Written Reply(Step& turn, const Watcher& watcher);
  void ForgetOldSteps();

  Session& session_;
  ConversationOptions options_;
  Shared base_;
  Talk talk_;
  Position here_;
  std::deque<Step> steps_;
  size_t forgotten_ = 0;
  // Of steps that were let go, and of this talk.
  std::deque<Exchange> older_;
  size_t older_bytes_ = 0, missing_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_CONVERSATION_H_
