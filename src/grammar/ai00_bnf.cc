// Ai00's BNF: kbnf, an EBNF with regular expressions and exceptions.
#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

#include "grammar/dfa.h"
#include "grammar/grammar_text.h"
#include "grammar/named_rules.h"
#include "grammar/regex.h"
#include "grammar/syntaxes.h"
#include "linnet/error.h"
#include "text/utf8.h"

namespace linnet {
namespace {

// Of the text of #substrs, whose parts are added one by one.
constexpr size_t kLongestSubstrings = 20'000;

class BnfReader {
 public:
  BnfReader(std::string_view text, const std::string& name, Rules& rules)
      : text_(text, name), rules_(rules), names_(text_, rules) {}

  uint32_t Read(std::string_view start) {
    SkipBlanks();
    while (!text_.done()) ReadRule();
    names_.CheckDefined();
    for (auto& [rule, bodies] : bodies_) rules_.SetRule(rule, rules_.Choice(std::move(bodies)));
    AddExceptions();
    const NamedRules::Named& first = names_.Find(start, 0);
    if (!first.defined) {
      text_.FailAt(0, fmt::format("there is no rule '{}', with which the text begins", start));
    }
    return first.rule;
  }

 private:
  using Id = Rules::Id;
  // except! of a rule, which may not be defined yet.
  struct Exception {
    uint32_t rule, excepted;
    size_t at;
    std::optional<uint32_t> most;
  };

  static bool IsNameStart(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }
  static bool IsNameChar(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

  void SkipBlanks() {
    for (;;) {
      if (text_.StartsWith("(*")) {
        const size_t at = text_.at();
        while (!text_.done() && !text_.StartsWith("*)")) text_.Skip(1);
        if (!text_.Take("*)")) text_.FailAt(at, "the comment is not closed, expected *)");
      } else if (!text_.done() &&
                 std::string_view(" \t\r\n").find(text_.peek()) != std::string_view::npos) {
        text_.Skip(1);
      } else {
        return;
      }
    }
  }

  void Expect(std::string_view what) {
    SkipBlanks();
    if (!text_.Take(what)) text_.Fail(fmt::format("found {}, expected {}", text_.Found(), what));
  }

  std::string_view ReadName() {
    if (text_.done() || !IsNameStart(text_.peek())) {
      text_.Fail(fmt::format("found {}, expected the name of a rule", text_.Found()));
    }
    return text_.TakeWhile(IsNameChar);
  }

  void ReadRule() {
    const size_t at = text_.at();
    NamedRules::Named& rule = names_.Find(ReadName(), at);
    rule.defined = true;
    SkipBlanks();
    if (!text_.Take("::=") && !text_.Take("=")) {
      text_.Fail(fmt::format("found {}, expected ::=", text_.Found()));
    }
    bodies_[rule.rule].push_back(ReadChoice(0));
    Expect(";");
    SkipBlanks();
  }

  Id ReadChoice(size_t depth) {
    if (depth > GrammarText::kDeepest) text_.Fail("groups are nested too deeply");
    std::vector<Id> parts;
    do {
      parts.push_back(ReadSequence(depth));
    } while (text_.Take("|"));
    return rules_.Choice(std::move(parts));
  }

  Id ReadSequence(size_t depth) {
    std::vector<Id> parts;
    for (;;) {
      SkipBlanks();
      const char c = text_.peek();
      if (c == '|' || c == ';' || c == ')' || c == ']' || c == '}' || text_.done()) break;
      parts.push_back(ReadRepeated(depth));
      SkipBlanks();
      text_.Take(",");
    }
    if (parts.empty()) {
      text_.Fail(fmt::format("found {}, expected a terminal, a rule or a group", text_.Found()));
    }
    return rules_.Sequence(std::move(parts));
  }

  Id ReadRepeated(size_t depth) {
    const Id part = ReadSymbol(depth);
    SkipBlanks();
    if (text_.Take("*")) return rules_.Repeat(part, 0, Rules::kNoLimit);
    if (text_.Take("+")) return rules_.Repeat(part, 1, Rules::kNoLimit);
    if (text_.Take("?")) return rules_.Optional(part);
    return part;
  }

  Id ReadSymbol(size_t depth) {
    const size_t at = text_.at();
    const char c = text_.peek();
    if (c == '"' || c == '\'') return rules_.Bytes(ReadQuoted());
    if (c == '(' || c == '[' || c == '{') {
      text_.Skip(1);
      const Id inside = ReadChoice(depth + 1);
      Expect(c == '(' ? ")" : c == '[' ? "]" : "}");
      return c == '(' ? inside : rules_.Repeat(inside, 0, c == '[' ? 1 : Rules::kNoLimit);
    }
    if (c == '#') return ReadRegex();
    if (text_.Take("except!")) return ReadException(at);
    if (text_.StartsWith("any!")) text_.Fail("any! is not supported; write #\".\"");
    return rules_.Rule(names_.Find(ReadName(), at).rule);
  }

  // A terminal's text, or a regex's. Escapes are those of kbnf, in both.
  std::string ReadQuoted() {
    const size_t at = text_.at();
    const char quote = text_.peek();
    if (quote != '"' && quote != '\'') {
      text_.Fail(fmt::format("found {}, expected a quote", text_.Found()));
    }
    text_.Skip(1);
    std::string out;
    while (text_.peek() != quote) {
      if (text_.done()) text_.FailAt(at, fmt::format("not closed, expected {}", quote));
      AppendUtf8(text_.peek() == '\\' ? ReadEscape() : text_.Next(), out);
    }
    text_.Skip(1);
    return out;
  }

  char32_t ReadEscape() {
    const size_t at = text_.at();
    text_.Skip(1);
    const char c = text_.peek();
    text_.Skip(1);
    constexpr std::string_view kLetters = "abtnvfr", kControls = "\a\b\t\n\v\f\r";
    if (const size_t i = kLetters.find(c); i != kLetters.npos) {
      return static_cast<char32_t>(kControls[i]);
    }
    if (c == '\\' || c == '"' || c == '\'' || c == '/') return static_cast<char32_t>(c);
    if (c != 'x' && c != 'u') {
      text_.FailAt(at, "no such escape; in a regex, a backslash is written \\\\");
    }
    size_t digits = c == 'x' ? 2 : 4;
    const bool braced = c == 'u' && text_.Take("{");
    if (braced) {
      for (digits = 0; digits < 8 && text_.peek(digits) != '}';) ++digits;
      if (digits == 0) text_.FailAt(at, "expected hexadecimal digits in {}");
    }
    const char32_t code = text_.TakeHex(digits);
    if (braced && !text_.Take("}")) text_.FailAt(at, "the escape is not closed, expected }");
    if (code >= 0xD800 && code <= 0xDFFF) text_.FailAt(at, "a surrogate is not a character");
    return code;
  }

  Id ReadRegex() {
    const size_t at = text_.at();
    text_.Skip(1);
    if (text_.StartsWith("ex")) text_.FailAt(at, "#ex is not supported; write except!");
    if (text_.Take("substrs")) return AddSubstrings(at, ReadQuoted());
    const bool early = text_.Take("e");
    const std::string regex = ReadQuoted();
    const auto add = [&](Rules& rules) {
      try {
        return AddRegex(regex, "regex", RegexPlace::kWhole, Spelling::kPlain, rules);
      } catch (const Error& error) {
        text_.FailAt(at, error.what());
      }
    };
    return early ? Dfa::Of(add).Shortest().AddTo(rules_) : add(rules_);
  }

  // Any part of the text, from one character to another; also nothing of it.
  Id AddSubstrings(size_t at, const std::string& text) {
    if (text.size() > kLongestSubstrings) {
      text_.FailAt(at,
                   fmt::format("a text of {} bytes is too long for #substrs, expected at most {}",
                               text.size(), kLongestSubstrings));
    }
    std::vector<Rules::Edge> edges = {{0, rules_.Empty(), 1}};
    uint32_t node = 2;
    for (std::string_view rest = text;; ++node) {
      edges.push_back({0, rules_.Empty(), node});
      edges.push_back({node, rules_.Empty(), 1});
      if (rest.empty()) break;
      const size_t bytes = NextUtf8(rest).bytes;
      edges.push_back({node, rules_.Bytes(rest.substr(0, bytes)), node + 1});
      rest.remove_prefix(bytes);
    }
    return rules_.Graph(node + 1, std::move(edges));
  }

  Id ReadException(size_t at) {
    Expect("(");
    SkipBlanks();
    std::optional<std::string> literal;
    uint32_t excepted = 0;
    const size_t inside = text_.at();
    if (text_.peek() == '"' || text_.peek() == '\'') {
      literal = ReadQuoted();
    } else if (text_.peek() == '#') {
      text_.Fail("except! of a regex is not supported, expected a terminal or a rule of terminals");
    } else {
      excepted = names_.Find(ReadName(), inside).rule;
    }
    SkipBlanks();
    std::optional<uint32_t> most;
    if (text_.Take(",")) {
      SkipBlanks();
      most = text_.TakeCount();
    }
    Expect(")");
    if (literal) return Without({*literal}, at, most);
    const uint32_t rule = rules_.NewRule();
    exceptions_.push_back({rule, excepted, at, most});
    return rules_.Rule(rule);
  }

  // Texts that contain none of the literals; of at most so many bytes.
  Id Without(const std::vector<std::string>& literals, size_t at, std::optional<uint32_t> most) {
    const auto all = [](Rules& rules) {
      return rules.Repeat(rules.Chars(CharSet::All()), 0, Rules::kNoLimit);
    };
    const auto containing = [&](Rules& rules) {
      std::vector<Id> parts;
      parts.reserve(literals.size());
      for (const std::string& literal : literals) {
        if (literal.empty()) text_.FailAt(at, "except! of the empty text allows nothing");
        parts.push_back(rules.Bytes(literal));
      }
      return rules.Sequence({all(rules), rules.Choice(std::move(parts)), all(rules)});
    };
    Dfa dfa = Dfa::Of(all).Minus(Dfa::Of(containing));
    if (most) {
      dfa = dfa.And(
          Dfa::Of([&](Rules& rules) { return rules.Repeat(rules.Byte(0, 255), 0, *most); }));
    }
    return dfa.AddTo(rules_);
  }

  void AddExceptions() {
    for (const auto& [rule, excepted, place, most] : exceptions_) {
      const size_t at = place;  // lambdas cannot capture a structured binding
      std::vector<std::string> literals;
      const Rules::Expression& body = rules_.at(rules_.body(excepted));
      const auto add = [&](const Rules::Expression& e) {
        if (e.kind != Rules::Kind::kBytes) {
          text_.FailAt(at, "except! supports only a rule of alternative terminals");
        }
        literals.push_back(rules_.bytes(e));
      };
      if (body.kind == Rules::Kind::kChoice) {
        for (const Id part : rules_.parts(body)) add(rules_.at(part));
      } else {
        add(body);
      }
      rules_.SetRule(rule, Without(literals, at, most));
    }
  }

  GrammarText text_;
  Rules& rules_;
  NamedRules names_;
  std::map<uint32_t, std::vector<Id>> bodies_;  // by rule, which may have several
  std::vector<Exception> exceptions_;
};

}  // namespace

uint32_t ReadAi00Bnf(std::string_view text, const std::string& name, std::string_view start,
                     Rules& rules) {
  return BnfReader(text, name, rules).Read(start);
}

}  // namespace linnet
