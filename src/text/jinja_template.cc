#include "text/jinja_template.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace linnet {
namespace {

// A string of Jinja, whose escapes are those of JSON.
std::string JinjaString(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// CleanTurn and DropThoughts as macros; `quoted` is the text inside a JSON string.
constexpr const char* kMacros =
    R"({%- macro clean(text) -%}{{ text.replace("\r\n", "\n").split("\n") | select | join("\n") | trim }}{%- endmacro -%})"
    R"({%- macro quoted(text) -%}{{ text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\t", "\\t") }}{%- endmacro -%})"
    R"({%- macro reply(text) -%}{%- if "</think>" in text -%})"
    R"({{ ((text.split("<think>")[0] if "<think>" in text else "") ~ text.split("</think>")[-1]) | trim }})"
    R"({%- else -%}{{ text.split("<think>")[0] | trim }}{%- endif -%}{%- endmacro -%})";

// System messages at the start are one text.
constexpr const char* kSystem =
    R"({%- set ns = namespace(system="", begun=false) -%})"
    R"({%- for m in messages -%}{%- if m["role"] in ["system", "developer"] and not ns.begun -%})"
    R"({%- set ns.system = ns.system ~ ("\n" if ns.system else "") ~ m["content"] -%})"
    R"({%- else -%}{%- set ns.begun = true -%}{%- endif -%}{%- endfor -%})"
    R"({%- set ns.begun = false -%}{%- set system = clean(ns.system) -%})";

}  // namespace

std::string JinjaOf(const ChatTemplate& chat, Think think) {
  const ChatForm& form = chat.form();
  const auto quoted = [](const std::string& text) { return JinjaString(text); };
  const std::string user = form.json ? "quoted(clean(m[\"content\"]))" : "clean(m[\"content\"])";
  const std::string user_turn =
      fmt::format("{{{{ {} ~ {} ~ {} }}}}", quoted(form.user_start), user, quoted(form.user_end));
  std::string text = kMacros;
  text += kSystem;
  text += fmt::format("{{%- if system -%}}{{{{ {} ~ system ~ {} }}}}", quoted(form.system_start),
                      quoted(form.system_end));
  if (!form.default_system.empty()) {
    text +=
        fmt::format("{{%- else -%}}{{{{ {} }}}}", quoted(form.default_system + form.system_end));
  }
  text += R"({%- endif -%}{%- for m in messages -%})";
  text += R"({%- if m["role"] in ["system", "developer"] -%}{%- if ns.begun -%})";
  text += fmt::format("{{{{ {} ~ clean(m[\"content\"]) ~ {} }}}}", quoted(form.system_start),
                      quoted(form.system_end));
  text += R"({%- endif -%}{%- else -%}{%- set ns.begun = true -%})";
  text += R"({%- if m["role"] == "assistant" -%}{%- set said = reply(m["content"]) -%})";
  text += fmt::format("{{{{ {} ~ ({} if said else \"\") ~ said ~ {} }}}}", quoted(form.reply_head),
                      quoted(form.reply_space), quoted(form.reply_end));
  text += R"({%- elif m["role"] in ["tool", "function"] -%})";
  text += form.tool_start.empty() ? user_turn
                                  : fmt::format("{{{{ {} ~ clean(m[\"content\"]) ~ {} }}}}",
                                                quoted(form.tool_start), quoted(form.tool_end));
  text += "{%- else -%}" + user_turn + "{%- endif -%}{%- endif -%}{%- endfor -%}";
  text += fmt::format("{{%- if add_generation_prompt -%}}{{{{ {} }}}}{{%- endif -%}}",
                      quoted(form.reply_head + chat.ReplyStart(think)));
  return text;
}

}  // namespace linnet
