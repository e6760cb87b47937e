// GBNF, llama.cpp's grammars.
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "grammar/grammar_text.h"
#include "grammar/named_rules.h"
#include "grammar/syntaxes.h"
#include "text/utf8.h"

namespace linnet {
namespace {

class GbnfReader {
 public:
  GbnfReader(std::string_view text, const std::string& name, Rules& rules)
      : text_(text, name), rules_(rules), names_(text_, rules) {}

  uint32_t Read() {
    SkipBlanks(true);
    while (!text_.done()) ReadRule();
    names_.CheckDefined();
    const NamedRules::Named& root = names_.Find("root", 0);
    if (!root.defined) text_.FailAt(0, "there is no rule 'root', with which the text begins");
    return root.rule;
  }

 private:
  using Id = Rules::Id;

  static bool IsNameChar(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  }

  // Blanks and comments; a comment ends before its line's end.
  void SkipBlanks(bool lines) {
    for (;;) {
      const char c = text_.peek();
      if (text_.done()) return;
      if (c == '#') {
        text_.TakeWhile([](char x) { return x != '\n' && x != '\r'; });
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        text_.Skip(1);
      } else {
        return;
      }
    }
  }

  std::string_view ReadName() {
    const auto name = text_.TakeWhile(IsNameChar);
    if (name.empty())
      text_.Fail(fmt::format("found {}, expected the name of a rule", text_.Found()));
    return name;
  }

  void ReadRule() {
    const size_t at = text_.at();
    const std::string_view name = ReadName();
    SkipBlanks(false);
    if (!text_.Take("::=")) {
      text_.Fail(fmt::format("found {}, expected ::= after '{}'", text_.Found(), name));
    }
    SkipBlanks(true);
    NamedRules::Named& rule = names_.Find(name, at);
    if (rule.defined) text_.FailAt(at, fmt::format("rule '{}' is defined twice", name));
    rule.defined = true;
    const Id body = ReadChoice(0);
    rules_.SetRule(rule.rule, body);
    if (!text_.done() && text_.peek() != '\n' && text_.peek() != '\r') {
      text_.Fail(fmt::format("found {}, expected the end of rule '{}'", text_.Found(), name));
    }
    SkipBlanks(true);
  }

  Id ReadChoice(size_t depth) {
    if (depth > GrammarText::kDeepest) text_.Fail("groups are nested too deeply");
    std::vector<Id> parts = {ReadSequence(depth)};
    while (GoesOn(depth)) {
      text_.Skip(1);
      SkipBlanks(true);
      parts.push_back(ReadSequence(depth));
    }
    return rules_.Choice(std::move(parts));
  }

  // Whether | is next, perhaps on another line.
  bool GoesOn(size_t depth) {
    if (text_.peek() == '|') return true;
    if (depth > 0) return false;
    const size_t at = text_.at();
    SkipBlanks(true);
    if (text_.peek() == '|') return true;
    text_.GoTo(at);
    return false;
  }

  Id ReadSequence(size_t depth) {
    std::vector<Id> parts;
    for (;;) {
      const char c = text_.peek();
      if (c == '"') {
        parts.push_back(ReadLiteral());
      } else if (c == '[') {
        parts.push_back(ReadClass());
      } else if (c == '.') {
        text_.Skip(1);
        parts.push_back(rules_.Chars(CharSet::All()));
      } else if (c == '(') {
        const size_t at = text_.at();
        text_.Skip(1);
        SkipBlanks(true);
        parts.push_back(ReadChoice(depth + 1));
        if (!text_.Take(")")) text_.FailAt(at, "the group is not closed, expected )");
      } else if (c == '<' || c == '!') {
        text_.Fail("tokens are not supported in a grammar; write their text");
      } else if (!text_.done() && IsNameChar(c)) {
        const size_t at = text_.at();
        parts.push_back(rules_.Rule(names_.Find(ReadName(), at).rule));
      } else if (!parts.empty() && (c == '*' || c == '+' || c == '?' || c == '{')) {
        parts.back() = ReadRepeat(parts.back());
      } else {
        return rules_.Sequence(std::move(parts));
      }
      SkipBlanks(depth > 0);
    }
  }

  Id ReadRepeat(Id part) {
    const size_t at = text_.at();
    if (text_.Take("*")) return rules_.Repeat(part, 0, Rules::kNoLimit);
    if (text_.Take("+")) return rules_.Repeat(part, 1, Rules::kNoLimit);
    if (text_.Take("?")) return rules_.Optional(part);
    text_.Skip(1);
    SkipBlanks(true);
    const uint32_t least = text_.TakeCount();
    uint32_t most = least;
    SkipBlanks(true);
    if (text_.Take(",")) {
      SkipBlanks(true);
      most = text_.peek() == '}' ? Rules::kNoLimit : text_.TakeCount();
      SkipBlanks(true);
    }
    if (!text_.Take("}")) text_.Fail(fmt::format("found {}, expected }}", text_.Found()));
    if (most < least) text_.FailAt(at, fmt::format("{} is more than {}", least, most));
    return rules_.Repeat(part, least, most);
  }

  char32_t ReadChar() {
    const size_t at = text_.at();
    if (!text_.Take("\\")) return text_.Next();
    const char c = text_.peek();
    text_.Skip(1);
    switch (c) {
      case 'x':
      case 'u':
      case 'U': {
        const char32_t code = text_.TakeHex(c == 'x' ? 2 : c == 'u' ? 4 : 8);
        if (code >= 0xD800 && code <= 0xDFFF) text_.FailAt(at, "a surrogate is not a character");
        return code;
      }
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(c);
      default:
        text_.FailAt(at,
                     "no such escape, expected one of \\x \\u \\U \\t \\r \\n \\\\ \\\" \\[ \\]");
    }
  }

  Id ReadLiteral() {
    const size_t at = text_.at();
    text_.Skip(1);
    std::string bytes;
    while (text_.peek() != '"') {
      if (text_.done()) text_.FailAt(at, "the literal is not closed, expected \"");
      AppendUtf8(ReadChar(), bytes);
    }
    text_.Skip(1);
    return rules_.Bytes(bytes);
  }

  Id ReadClass() {
    const size_t at = text_.at();
    text_.Skip(1);
    const bool negated = text_.Take("^");
    CharSet set;
    while (text_.peek() != ']') {
      if (text_.done()) text_.FailAt(at, "the class is not closed, expected ]");
      const char32_t first = ReadChar();
      char32_t last = first;
      if (text_.peek() == '-' && text_.peek(1) != ']') {
        text_.Skip(1);
        if (text_.done()) text_.FailAt(at, "the class is not closed, expected ]");
        last = ReadChar();
        if (last < first) text_.Fail("the range ends before it begins");
      }
      set.Add(first, last);
    }
    text_.Skip(1);
    return rules_.Chars(negated ? set.Complement() : set);
  }

  GrammarText text_;
  Rules& rules_;
  NamedRules names_;
};

}  // namespace

uint32_t ReadGbnf(std::string_view text, const std::string& name, Rules& rules) {
  return GbnfReader(text, name, rules).Read();
}

}  // namespace linnet
