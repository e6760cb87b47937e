// NamedRules: the rules of a grammar's text by name, used before or after they are defined.
#ifndef LINNET_GRAMMAR_NAMED_RULES_H_
#define LINNET_GRAMMAR_NAMED_RULES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "grammar/grammar_text.h"
#include "grammar/rules.h"

namespace linnet {

// Keeps references. Not thread-safe.
class NamedRules {
 public:
  struct Named {
    uint32_t rule;
    size_t used;  // the first place
    bool defined = false;
  };

  NamedRules(const GrammarText& text, Rules& rules) : text_(text), rules_(rules) {}

  Named& Find(std::string_view name, size_t at) {
    const auto found = names_.find(name);
    if (found != names_.end()) return found->second;
    return names_.emplace(name, Named{rules_.NewRule(), at}).first->second;
  }

  // Throws Error kBadInput, at the first use, if a rule is not defined.
  void CheckDefined() const {
    for (const auto& [name, rule] : names_) {
      if (!rule.defined) text_.FailAt(rule.used, "rule '" + name + "' is not defined");
    }
  }

 private:
  const GrammarText& text_;
  Rules& rules_;
  std::map<std::string, Named, std::less<>> names_;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_NAMED_RULES_H_
