// ChatForm: the strings of a chat template.
#ifndef LINNET_TEXT_CHAT_FORM_H_
#define LINNET_TEXT_CHAT_FORM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

// How a prompt describes the functions that the model may call.
enum class ToolForm : uint8_t {
  kNone,        // the model cannot call functions
  kSignatures,  // a line for each: `- name(argument: type, …): description`
  kSchemas,     // a JSON list of name, description and arguments
  kHeadings,    // a heading for each, with its description and the schema of its arguments
};

// A text is: system_start, system text, system_end; then turns, each with its start and end. The
// model's turn is reply_head, reply_space, its text, reply_end; a prompt ends with reply_head.
struct ChatForm {
  std::string name{};
  std::string system_start{}, system_end = "\n\n";
  std::string default_system{};  // if no system text is given; empty: the turn is left out
  std::string user_start{}, user_end = "\n\n";
  // The model's first token includes the space, so that no prompt ends with it.
  std::string reply_head{}, reply_space{}, reply_end = "\n\n";
  std::vector<std::string> stops{};  // strings that end a reply

  ToolForm tools = ToolForm::kNone;
  std::string tools_start{}, tools_end{};       // around the list of functions, in the system text
  std::string call_mark{};                      // before the fence of a call
  std::string tool_start{}, tool_end = "\n\n";  // around what a function returned
  std::vector<std::string> tool_stops{};        // also end a reply if there are functions

  bool thinks = false;
  Think default_think = Think::kNone;
  // Begin a reply with thoughts, and one without. Without the last `>`, which the tokenizer would
  // join with the text after it.
  std::string think_start = "<think", think_skip = "<think>\n</think";

  bool json = false;  // the user's text is inside a JSON string
};

// A template file: a JSON object whose keys are the members of ChatForm, and `base`, the name of
// the built-in template that the other keys change. Throws Error kBadInput, which starts with
// `source`, for a key or value that is not known.
ChatForm ParseChatForm(std::string_view json, const std::string& source);

// The built-in template of this name. Throws Error kBadInput that lists the names.
const ChatForm& ChatFormNamed(std::string_view name);
const std::vector<ChatForm>& BuiltInChatForms();

}  // namespace linnet

#endif  // LINNET_TEXT_CHAT_FORM_H_
