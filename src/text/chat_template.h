// ChatTemplate: formats a conversation as the text that a model was trained on.
#ifndef LINNET_TEXT_CHAT_TEMPLATE_H_
#define LINNET_TEXT_CHAT_TEMPLATE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/config.h"
#include "linnet/tokenizer.h"
#include "text/chat_form.h"
#include "text/chat_messages.h"

namespace linnet {

// What the reply begins with, which is then part of the prompt.
enum class ReplyLead : uint8_t {
  kText,  // thoughts, as Think says, or nothing
  kCall,  // the fence of a call
  kJson,  // a fence around JSON
};

struct PromptOptions {
  Think think = Think::kNone;  // with kText only
  ReplyLead lead = ReplyLead::kText;
};

// A conversation is Opening, then for each turn Prompt, the model's reply and ReplyEnd; for a
// finished turn Past does the same. Render does all of it for messages of any roles. No text ends
// in a blank after a speaker's name, because the model's first token includes it. Text that is fed
// in one call should be encoded in one call, by EncodePrompt. Immutable.
class ChatTemplate {
 public:
  // Throws Error kBadInput for strings with which a conversation cannot be told apart: a reply
  // without a head, no stops.
  explicit ChatTemplate(ChatForm form);
  // "world", "world-classic", "g1", "g1-headings", "raven", "qa", "instruct", "alpaca-json". For
  // other names throws Error kBadInput that lists them.
  static const ChatTemplate& Named(std::string_view name);
  static std::vector<std::string> Names();
  // The template that most models of this kind were trained on: World models of RWKV-6 and 7
  // "world", older ones "world-classic", 20B models "raven". Byte models (rwkv.cpp's tiny ones)
  // "alpaca-json", the format of their training data.
  static const ChatTemplate& For(Generation generation, const Tokenizer& tokenizer);
  // Of a template file (ParseChatForm). Throws Error kIo, kBadInput.
  static ChatTemplate Load(const std::filesystem::path& path);

  const std::string& name() const { return form_.name; }
  // Strings that end a reply.
  const std::vector<std::string>& stops() const { return form_.stops; }
  bool thinks() const { return form_.thinks; }
  Think default_think() const { return form_.default_think; }
  bool has_tools() const { return form_.tools != ToolForm::kNone; }
  const ChatForm& form() const { return form_; }

  // The text before the first turn; may be empty. `system` is cleaned; if it is empty, the
  // template's default is used, if there is one.
  std::string Opening(std::string_view system = {}) const;

  // The user's turn, up to where the reply begins. Throws Error kBadInput if the template does not
  // support thoughts and `think` asks for them.
  std::string Prompt(std::string_view user, Think think) const;
  std::string Prompt(std::string_view user) const { return Prompt(user, form_.default_think); }

  // The end of such a prompt that is already part of the reply (" <think"). Show it before the
  // reply, and prepend it to the reply passed to Past.
  std::string ReplyStart(Think think) const;

  // The text between a reply and the next turn's Prompt.
  const std::string& ReplyEnd() const { return form_.reply_end; }

  // A finished turn, including ReplyEnd. The reply is without its thoughts, as models expect it in
  // the history.
  std::string Past(std::string_view user, std::string_view reply) const;

  // The whole conversation, up to where the reply begins. System messages at the start are one
  // text, with the functions; later ones are turns. If the last message is the assistant's, has no
  // calls and `lead` is kText, the reply continues it. Throws Error kBadInput for thoughts as
  // Prompt does, and for tools or calls if the template has none.
  ChatPrompt Render(std::span<const ChatMessage> messages, std::span<const ChatTool> tools,
                    const PromptOptions& options) const;
  // The same, but all messages are past: ends with the last one's end.
  ChatPrompt RenderPast(std::span<const ChatMessage> messages, std::span<const ChatTool> tools,
                        const PromptOptions& options) const;
  // The assistant's turn in the history: its text without thoughts, and its calls.
  std::string PastReply(const ChatMessage& reply) const;

 private:
  std::string UserTurn(std::string_view user, Think think) const;
  // Text of others than the model, so that it cannot insert another turn.
  std::string Clean(std::string_view text) const;
  std::string ToolText(std::span<const ChatTool> tools) const;
  std::string ReplyText(const ChatMessage& message) const;

  ChatForm form_;
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

// For each of these places in the text (bytes, ascending), how many of its tokens end there or
// before: where a state can be kept that another text with the same beginning goes on from.
std::vector<size_t> TokensUpTo(const Tokenizer& tokenizer, std::span<const int32_t> tokens,
                               std::span<const size_t> places);

// Ids that end a text: 0 with World and 20B; none for bytes, where 0 is a normal byte.
std::vector<int32_t> EndOfTextIds(const Tokenizer& tokenizer);

}  // namespace linnet

#endif  // LINNET_TEXT_CHAT_TEMPLATE_H_
