// Templates in the language of Ollama's `template`, as far as one prompt needs it.
#ifndef LINNET_SERVER_OLLAMA_TEMPLATE_H_
#define LINNET_SERVER_OLLAMA_TEMPLATE_H_

#include <string>
#include <string_view>

#include "text/chat_form.h"

namespace linnet {

struct TemplateValues {
  std::string_view system, prompt, suffix;
};

// The text before `{{ .Response }}`, or all of it, without blanks at its end, since a model's first
// token has them. Knows `.System`, `.Prompt`, `.Suffix`, `if` of these, `else`, `end`, comments and
// the dashes that trim. Throws RequestError 400 for anything else, and for blocks that do not
// match.
std::string ExpandTemplate(std::string_view text, const TemplateValues& values);

// A chat template in this language: one turn.
std::string TemplateText(const ChatForm& form);

}  // namespace linnet

#endif  // LINNET_SERVER_OLLAMA_TEMPLATE_H_
