// ChatTemplate: a conversation as the text that a model was trained on.
#ifndef LINNET_TEXT_CHAT_TEMPLATE_H_
#define LINNET_TEXT_CHAT_TEMPLATE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/config.h"
#include "linnet/tokenizer.h"

namespace linnet {

// What a reply of a G1 model begins with, and how long it is asked to think.
enum class Think : uint8_t {
  kNone,    // nothing is said of thoughts
  kFast,    // an empty thought: the answer at once
  kFree,    // as long as it likes
  kBit,     // "(think a bit)" after the user's text
  kMedium,  // "(think)"
  kLot,     // "(think a lot)"
};
// "none", "fast", "free", "bit", "medium" or "lot"; throws Error kBadInput.
Think ParseThink(std::string_view name);

// A conversation is Opening, then for each turn Prompt, the model's reply and
// ReplyEnd; or, for turns that are over, Past. No text ends in a blank after a
// speaker's name: the model's own token has it. What is fed in one go should be
// encoded in one go, by EncodePrompt. Immutable.
class ChatTemplate {
 public:
  // "world", "world-classic", "g1", "raven", "qa", "instruct", "alpaca-json";
  // throws Error kBadInput that lists them.
  static const ChatTemplate& Named(std::string_view name);
  static std::vector<std::string> Names();
  // The one that most models of this kind were trained on: World models of
  // RWKV-6 and 7 "world", older ones "world-classic", 20B models "raven"; byte
  // models (rwkv.cpp's tiny ones) "alpaca-json", whose source they learnt.
  static const ChatTemplate& For(Generation generation, const Tokenizer& tokenizer);

  const std::string& name() const { return name_; }
  // Each ends a reply.
  const std::vector<std::string>& stops() const { return stops_; }
  bool thinks() const { return thinks_; }
  Think default_think() const { return default_think_; }

  // What comes before the first turn; may be empty. `system` is cleaned; empty
  // means what the template itself says, if anything.
  std::string Opening(std::string_view system = {}) const;

  // The user's turn, up to where the model goes on. Throws Error kBadInput if
  // the template does not know thoughts and `think` wants some.
  std::string Prompt(std::string_view user, Think think) const;
  std::string Prompt(std::string_view user) const { return Prompt(user, default_think_); }

  // The end of such a prompt that already belongs to the reply (" <think"):
  // show it before, and put it before the reply that is given to Past.
  std::string ReplyStart(Think think) const;

  // Goes between a reply and the next turn's Prompt.
  const std::string& ReplyEnd() const { return reply_end_; }

  // A whole turn that is over, ReplyEnd included: the reply without its
  // thoughts, as the model would have it in its history.
  std::string Past(std::string_view user, std::string_view reply) const;

 private:
  ChatTemplate() = default;
  static const std::vector<ChatTemplate>& All();
  std::string UserTurn(std::string_view user, Think think) const;

  std::string name_;
  std::string system_start_, default_system_;  // before the system text; in its place
  std::string user_start_, user_end_, reply_space_, reply_end_;
  std::vector<std::string> stops_;
  bool thinks_ = false;
  bool json_ = false;  // the user's text is inside a JSON string
  Think default_think_ = Think::kNone;
};

// The reference's cleaning of user and system text: line ends as \n, no empty
// lines, no blanks around. So no user can write the turn of another.
std::string CleanTurn(std::string_view text);

// A reply without <think>…</think>, without what comes before a lone </think>
// or after a lone <think>, and without blanks around.
std::string DropThoughts(std::string_view reply);

// Ids of a prompt. With the 20B tokenizer a last "\n\n" becomes two "\n": in
// training a text never stopped there, so models know it only as the former.
std::vector<int32_t> EncodePrompt(const Tokenizer& tokenizer, std::string_view text);

// Ids that end a text: 0 with World and 20B, none for bytes, where 0 is a byte.
std::vector<int32_t> EndOfTextIds(const Tokenizer& tokenizer);

}  // namespace linnet

#endif  // LINNET_TEXT_CHAT_TEMPLATE_H_
