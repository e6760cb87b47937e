// JinjaOf: a chat template for programs that render prompts themselves.
#ifndef LINNET_TEXT_JINJA_TEMPLATE_H_
#define LINNET_TEXT_JINJA_TEMPLATE_H_

#include <string>

#include "text/chat_template.h"

namespace linnet {

// A Jinja2 template of `messages` (roles system, developer, user, assistant, tool; each content a
// text) and `add_generation_prompt`, which gives the text of ChatTemplate::Render without
// functions, with what a reply begins with by `think`. Two differences: a last message of the
// assistant's is a finished turn, and a line of a user that looks like the start of a turn stays as
// it is, which matters for templates whose turns are not separated by empty lines.
std::string JinjaOf(const ChatTemplate& chat, Think think);

}  // namespace linnet

#endif  // LINNET_TEXT_JINJA_TEMPLATE_H_
