// Conversation: turns of a user and a model, with undo.
#ifndef LINNET_ENGINE_CONVERSATION_H_
#define LINNET_ENGINE_CONVERSATION_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/session.h"
#include "grammar/constraint.h"
#include "text/chat_template.h"

namespace linnet {

struct ConversationOptions {
  const ChatTemplate* chat_template = nullptr;
  std::string system{};
  Think think = Think::kNone;
  size_t max_tokens = 1024;          // of a reply
  std::vector<std::string> stops{};  // in addition to the template's
  // What each reply must match, after a blank or none. Then replies have no thoughts: an empty one
  // is closed before.
  std::shared_ptr<const Grammar> grammar{};
  // Memory limit for the states of earlier turns, in bytes. Those of the last turn are always kept.
  size_t history_bytes = size_t{512} << 20;
};

// The texts of a turn: the user's as given, and the reply as shown.
struct Exchange {
  std::string user, reply;
  size_t bytes() const { return user.size() + reply.size(); }
};

// States are kept before each turn and before each reply, so undo runs no tokens again. A reply
// with thoughts is different: thoughts are not part of the history, so the next turn reads that
// turn again without them. Keeps a reference to the session. Not thread-safe.
class Conversation {
 public:
  // Starts from the current state of `session`: the start of a text, or the end of a reply. Throws
  // Error kBadInput if the template does not support thoughts and `think` asks for them, or if it
  // asks for them beside a grammar.
  Conversation(Session& session, ConversationOptions options);

  // A turn: reads `user` and writes the reply, with its thoughts. If `watcher` interrupts before
  // the reply has begun, nothing changes; if later, the turn is kept with the partial reply.
  Written Ask(std::string_view user, const Watcher& watcher);

  // Samples the last turn's reply again. Needs can_retry().
  Written Retry(const Watcher& watcher);

  // Undoes the last step: a turn, a Reset or a GoTo. Needs steps() > 0.
  void Undo();

  // Returns to the state at construction, with the system text of the options.
  void Reset();
  // Continues from this state. If it is the start of a text, as tuned states are, the opening is
  // read.
  void GoTo(Snapshot snapshot);

  // Uses this template for the turns that follow and, at the start of a conversation, for its
  // opening. Throws Error kBadInput, and changes nothing, if the template does not support thoughts
  // and `think` asks for them.
  void SetTemplate(const ChatTemplate& form, Think think);

  // The state after the last reply.
  Snapshot Here();
  // The same, but for text that is fed before the next turn.
  const State& state() const { return here_.at->state; }

  size_t steps() const { return steps_.size(); }   // that can be undone
  size_t forgotten() const { return forgotten_; }  // steps whose states were dropped
  bool can_retry() const { return !steps_.empty() && steps_.back().ready != nullptr; }

  // The turns since the last Reset or GoTo, or since construction. In a very long conversation the
  // first `missing()` turns are dropped.
  std::vector<Exchange> exchanges() const;
  size_t missing() const;
  const std::string& system() const { return talk_.system; }  // used at the start

  // Tokens of the text so far. After a GoTo to a state in the middle of a text, only the tokens
  // since then; whole() is false.
  size_t tokens() const;
  bool whole() const { return talk_.whole; }

  // Changes apply from the next reply on, `system` from the next Reset on.
  ConversationOptions& options() { return options_; }
  Session& session() { return session_; }

 private:
  using Shared = std::shared_ptr<const Snapshot>;
  // A state, and text that must be fed before the next turn.
  struct Position {
    Shared at;
    std::string lead;
    size_t end;  // bytes at the end of `lead` that only separate turns
    bool start;  // start of a conversation: the lead is the template's opening
  };
  struct Talk {
    std::string system;
    bool whole;
  };
  // A turn, or a jump to the start of another conversation.
  struct Step {
    Position before;
    Think think = Think::kNone;
    Shared ready{};  // after the prompt; null for a jump
    Exchange said{};
    Talk left{};  // the conversation before a jump
  };

  Position At(Shared at, std::string lead, bool start = false) const;
  Position StartOf(Shared at) const;
  void JumpTo(Shared at);
  Written Reply(Step& turn, const Watcher& watcher);
  void ForgetOldSteps();
  void CheckThink(const ChatTemplate& form, Think think) const;
  std::optional<Constraint> NewConstraint();

  Session& session_;
  ConversationOptions options_;
  std::shared_ptr<const TokenTrie> trie_;  // of the first constraint on
  Shared base_;
  Talk talk_;
  Position here_;
  std::deque<Step> steps_;
  size_t forgotten_ = 0;
  // Of this conversation's steps whose states were dropped.
  std::deque<Exchange> older_;
  size_t older_bytes_ = 0, missing_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_CONVERSATION_H_
