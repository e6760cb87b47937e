#include "server/ollama_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "server/openai_errors.h"
#include "text/utf8.h"

namespace linnet {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr size_t kDeepest = 16;

std::string_view TrimmedStart(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text;
}

std::string_view TrimmedEnd(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

[[noreturn]] void RefuseTemplate(const std::string& why) {
  throw RequestError(400, "template " + why, "template", "invalid_value");
}

class Expander {
 public:
  explicit Expander(const TemplateValues& values) : values_(values) {}

  std::string Expand(std::string_view text) {
    bool trim = false;  // the next text loses the blanks at its start
    while (!text.empty() && !ended_) {
      const size_t begin = std::min(text.find("{{"), text.size());
      std::string_view plain = text.substr(0, begin);
      if (trim) plain = TrimmedStart(plain);
      text.remove_prefix(begin);
      if (text.empty()) {
        Write(plain);
        break;
      }
      const size_t end = text.find("}}");
      if (end == text.npos) RefuseTemplate("has {{ without }}");
      std::string_view action = text.substr(2, end - 2);
      text.remove_prefix(end + 2);
      if (action.starts_with('-')) {
        action.remove_prefix(1);
        plain = TrimmedEnd(plain);
      }
      trim = action.ends_with('-');
      if (trim) action.remove_suffix(1);
      Write(plain);
      Run(TrimmedEnd(TrimmedStart(action)));
    }
    if (!blocks_.empty() && !ended_) RefuseTemplate("has an if without end");
    out_.resize(out_.find_last_not_of(' ') + 1);
    return out_;
  }

 private:
  struct Block {
    bool holds;
    bool has_else = false;
  };

  bool shown() const {
    for (const Block& block : blocks_) {
      if (!block.holds) return false;
    }
    return true;
  }

  void Write(std::string_view text) {
    if (shown()) out_ += text;
  }

  // The value of a variable; nullopt for the response, which is not there yet.
  std::optional<std::string_view> ValueOf(std::string_view name) const {
    if (name == ".System") return values_.system;
    if (name == ".Prompt") return values_.prompt;
    if (name == ".Suffix") return values_.suffix;
    if (name == ".Response") return std::nullopt;
    RefuseTemplate(
        fmt::format("has {{{{ {} }}}}, expected .System, .Prompt, .Suffix, .Response, if, else "
                    "or end; use /api/chat for others",
                    ValidUtf8(name.substr(0, 60))));
  }

  void Run(std::string_view action) {
    if (action.starts_with("/*")) return;
    if (action == "end" || action == "else") {
      if (blocks_.empty() || (action == "else" && blocks_.back().has_else)) {
        RefuseTemplate(fmt::format("has {} without if", action));
      }
      if (action == "end") {
        blocks_.pop_back();
      } else {
        blocks_.back() = {.holds = !blocks_.back().holds, .has_else = true};
      }
      return;
    }
    constexpr std::string_view kIf = "if ";
    if (action.starts_with(kIf)) {
      if (blocks_.size() == kDeepest) RefuseTemplate("has too many ifs inside each other");
      const auto value = ValueOf(TrimmedStart(action.substr(kIf.size())));
      blocks_.push_back({.holds = value && !value->empty()});
      return;
    }
    const auto value = ValueOf(action);
    if (value) {
      Write(*value);
    } else if (shown()) {
      ended_ = true;
    }
  }

  const TemplateValues& values_;
  std::string out_;
  std::vector<Block> blocks_;
  bool ended_ = false;
};

}  // namespace

std::string ExpandTemplate(std::string_view text, const TemplateValues& values) {
  return Expander(values).Expand(text);
}

std::string TemplateText(const ChatForm& form) {
  return "{{ if .System }}" + form.system_start + "{{ .System }}" + form.system_end + "{{ end }}" +
         form.user_start + "{{ .Prompt }}" + form.user_end + form.reply_head + form.reply_space +
         "{{ .Response }}" + form.reply_end;
}

}  // namespace linnet
