// ChatTemplate: formats a conversation as the text that a model was trained on.
#ifndef LINNET_TEXT_CHAT_TEMPLATE_H_
#define LINNET_TEXT_CHAT_TEMPLATE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/config.h"
#include "linnet/tokenizer.h"

namespace linnet {

// How a reply of a G1 model begins, and how long it should think.
enum class Think : uint8_t {
  kNone,    // the prompt does not mention thoughts
  kFast,    // an empty thought, to answer at once
  kFree,    // unlimited
  kBit,     // "(think a bit)" after the user's text
  kMedium,  // "(think)"
  kLot,     // "(think a lot)"
};
// "none", "fast", "free", "bit", "medium" or "lot"; throws Error kBadInput.
Think ParseThink(std::string_view name);

// A conversation is Opening, then for each turn Prompt, the model's reply and ReplyEnd; for a
// finished turn Past does the same. No text ends in a blank after a speaker's name, because the
// model's first token includes it. Text that is fed in one call should be encoded in one call, by
// EncodePrompt. Immutable.
class ChatTemplate {
 public:
  // "world", "world-classic", "g1", "raven", "qa", "instruct", "alpaca-json". For other names
  // throws Error kBadInput that lists them.
  static const ChatTemplate& Named(std::string_view name);
  static std::vector<std::string> Names();
  // The template that most models of this kind were trained on: World models of RWKV-6 and 7
  // "world", older ones "world-classic", 20B models "raven". Byte models (rwkv.cpp's tiny ones)
  // "alpaca-json", the format of their training data.
  static const ChatTemplate& For(Generation generation, const Tokenizer& tokenizer);

  const std::string& name() const { return name_; }
  // Strings that end a reply.
  const std::vector<std::string>& stops() const { return stops_; }
  bool thinks() const { return thinks_; }
  Think default_think() const { return default_think_; }

  // The text before the first turn; may be empty. `system` is cleaned; if it is empty, the
  // template's default is used, if there is one.
  std::string Opening(std::string_view system = {}) const;

  // The user's turn, up to where the reply begins. Throws Error kBadInput if the template does not
  // support thoughts and `think` asks for them.
  std::string Prompt(std::string_view user, Think think) const;
  std::string Prompt(std::string_view user) const { return Prompt(user, default_think_); }

  // The end of such a prompt that is already part of the reply (" <think"). Show it before the
  // reply, and prepend it to the reply passed to Past.
  std::string ReplyStart(Think think) const;

  // The text between a reply and the next turn's Prompt.
  const std::string& ReplyEnd() const { return reply_end_; }

  // A finished turn, including ReplyEnd. The reply is without its thoughts, as models expect it in
  // the history.
  std::string Past(std::string_view user, std::string_view reply) const;

 private:
  ChatTemplate() = default;
  static const std::vector<ChatTemplate>& All();
  std::string UserTurn(std::string_view user, Think think) const;

  std::string name_;
  std::string system_start_, default_system_;  // before the system text; used if none is given
  std::string user_start_, user_end_, reply_space_, reply_end_;
  std::vector<std::string> stops_;
  bool thinks_ = false;
  bool json_ = false;  // the user's text is inside a JSON string
  Think default_think_ = Think::kNone;
};

// Cleans user and system text like the reference: line ends as \n, no empty lines, no blanks around
// it. A user can therefore not insert another turn.
std::string CleanTurn(std::string_view text);

// Removes <think>…</think>, the text before an unmatched </think>, the text after an unmatched
// <think>, and the blanks around the rest.
std::string DropThoughts(std::string_view reply);

// The ids of a prompt. With the 20B tokenizer a final "\n\n" becomes two "\n": in training no text
// stopped there, so models expect two separate tokens.
std::vector<int32_t> EncodePrompt(const Tokenizer& tokenizer, std::string_view text);

// Ids that end a text: 0 with World and 20B; none for bytes, where 0 is a normal byte.
std::vector<int32_t> EndOfTextIds(const Tokenizer& tokenizer);

}  // namespace linnet

#endif  // LINNET_TEXT_CHAT_TEMPLATE_H_
