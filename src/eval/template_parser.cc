#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

#include "eval/template_nodes.h"
#include "linnet/error.h"
#include "text/python_literal.h"

namespace linnet {
namespace {

using Node = Template::Node;
using Op = TemplateOp;

// Deeper expressions and blocks would only use up the stack.
constexpr size_t kDepth = 100;

enum class Kind : uint8_t { kName, kString, kNumber, kSymbol, kEnd };

struct Word {
  Kind kind;
  std::string text;  // a string's value
};

[[noreturn]] void FailAt(std::string_view whole, const char* place, const std::string& what) {
  const auto lines = std::count(whole.data(), place, '\n') + 1;
  throw Error(ErrorKind::kBadInput, fmt::format("line {} of the template: {}", lines, what));
}

// The words of one expression or statement, `inside` being part of `whole`.
std::vector<Word> WordsOf(std::string_view whole, std::string_view inside) {
  std::vector<Word> out;
  size_t at = 0;
  const auto is = [&](size_t i, int (*what)(int)) {
    return i < inside.size() && what(static_cast<unsigned char>(inside[i])) != 0;
  };
  const auto in_name = [&](size_t i) {
    return is(i, std::isalnum) ||
           (i < inside.size() && (inside[i] == '_' || static_cast<signed char>(inside[i]) < 0));
  };
  while (at < inside.size()) {
    if (is(at, std::isspace)) {
      ++at;
      continue;
    }
    const size_t begin = at;
    if (is(at, std::isdigit)) {
      while (is(at, std::isdigit) ||
             (inside[begin] != '.' && at < inside.size() && inside[at] == '_'))
        ++at;
      if (at + 1 < inside.size() && inside[at] == '.' && is(at + 1, std::isdigit)) {
        for (++at; is(at, std::isdigit); ++at) {
        }
      }
      if (at < inside.size() && (inside[at] == 'e' || inside[at] == 'E')) {
        size_t end = at + 1;
        if (end < inside.size() && (inside[end] == '-' || inside[end] == '+')) ++end;
        if (is(end, std::isdigit)) {
          for (at = end; is(at, std::isdigit); ++at) {
          }
        }
      }
      std::string digits(inside.substr(begin, at - begin));
      std::erase(digits, '_');
      out.push_back({Kind::kNumber, digits});
    } else if (in_name(at)) {
      while (in_name(at)) ++at;
      out.push_back({Kind::kName, std::string(inside.substr(begin, at - begin))});
    } else if (inside[at] == '\'' || inside[at] == '"') {
      const char quote = inside[at++];
      while (at < inside.size() && inside[at] != quote) at += inside[at] == '\\' ? 2 : 1;
      if (at >= inside.size()) FailAt(whole, inside.data() + begin, "a string without its end");
      ++at;
      // A line break, which Jinja allows in a string, as an escape.
      std::string literal;
      for (const char c : inside.substr(begin, at - begin)) {
        if (c == '\n')
          literal += "\\n";
        else
          literal += c;
      }
      try {
        out.push_back({Kind::kString, ParsePythonLiteral(literal)});
      } catch (const Error& error) {
        FailAt(whole, inside.data() + begin, error.what());
      }
    } else {
      constexpr std::array kLong = {"//", "**", "==", "!=", "<=", ">="};
      std::string symbol(inside.substr(at, 2));
      if (std::find(kLong.begin(), kLong.end(), symbol) == kLong.end()) symbol.resize(1);
      constexpr std::string_view kShort = "+-*/%~<>=()[]{},.:|";
      if (symbol.size() == 1 && kShort.find(symbol[0]) == std::string_view::npos) {
        FailAt(whole, inside.data() + at,
               fmt::format("found '{}', expected an expression", symbol));
      }
      at += symbol.size();
      out.push_back({Kind::kSymbol, symbol});
    }
  }
  return out;
}

Node Leaf(Op op, std::string text, TaskJson value = {}) {
  Node node;
  node.op = op;
  node.text = std::move(text);
  node.value = std::move(value);
  return node;
}

Node Tree(Op op, std::string text, std::vector<Node> parts) {
  Node node = Leaf(op, std::move(text));
  node.parts = std::move(parts);
  return node;
}

// Recursive descent with Jinja's precedences (jinja2/parser.py, parse_expression).
class ExpressionParser {
 public:
  ExpressionParser(std::string_view whole, std::string_view inside)
      : whole_(whole), inside_(inside), words_(WordsOf(whole, inside)) {}

  Node Expression() { return Conditional(); }

  bool AtEnd() const { return at_ == words_.size(); }
  bool Sees(std::string_view text) const {
    return !AtEnd() && words_[at_].kind != Kind::kString && words_[at_].text == text;
  }
  bool Take(std::string_view text) {
    if (!Sees(text)) return false;
    ++at_;
    return true;
  }
  void Expect(std::string_view text) {
    if (!Take(text)) Fail(fmt::format("expected '{}'", text));
  }
  std::string Name() {
    if (AtEnd() || words_[at_].kind != Kind::kName) Fail("expected a name");
    return words_[at_++].text;
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names = {Name()};
    while (Take(",")) names.push_back(Name());
    return names;
  }
  void End() {
    if (!AtEnd()) Fail("expected its end");
  }
  // Without `x if y`, for the sequence of a loop.
  Node OrExpression() { return Binary(0); }

 private:
  struct Depth {
    explicit Depth(ExpressionParser& parser) : depth(parser.depth_) {
      if (++depth > kDepth) parser.Fail("expressions inside expressions are too deep");
    }
    ~Depth() { --depth; }
    size_t& depth;
  };

  [[noreturn]] void Fail(const std::string& what) const {
    FailAt(whole_, inside_.data(),
           fmt::format("{} {} in '{}'", what,
                       AtEnd() ? "at the end" : fmt::format("before '{}'", words_[at_].text),
                       inside_.substr(0, 80)));
  }

  Node Conditional() {
    const Depth depth(*this);
    Node node = Binary(0);
    while (Take("if")) {
      Node condition = Binary(0);
      Node other;
      if (Take("else")) other = Conditional();
      node = Tree(Op::kIf, "", {std::move(condition), std::move(node), std::move(other)});
    }
    return node;
  }

  // or, and, not, comparisons, + -, ~, * / // %, **, unary.
  Node Binary(size_t level) {
    static const std::vector<std::vector<std::string>> kLevels = {
        {"or"}, {"and"}, {}, {}, {"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}};
    if (level == 2) {
      if (!Take("not")) return Binary(3);
      const Depth depth(*this);
      return Tree(Op::kUnary, "not", {Binary(2)});
    }
    if (level == 3) return Comparison();
    if (level == kLevels.size()) return Unary(true);
    Node node = Binary(level + 1);
    for (bool more = true; more;) {
      more = false;
      for (const std::string& op : kLevels[level]) {
        if (!Take(op)) continue;
        node = Tree(Op::kBinary, op, {std::move(node), Binary(level + 1)});
        more = true;
        break;
      }
    }
    return node;
  }

  Node Comparison() {
    Node node = Binary(4);
    Node chain = Tree(Op::kCompare, "", {});
    for (bool more = true; more;) {
      more = false;
      if (Sees("not") && at_ + 1 < words_.size() && words_[at_ + 1].text == "in") {
        at_ += 2;
        chain.names.emplace_back("not in");
        chain.parts.push_back(Binary(4));
        more = true;
      }
      for (const char* op : {"==", "!=", "<", ">", "<=", ">=", "in"}) {
        if (more || !Take(op)) continue;
        chain.names.emplace_back(op);
        chain.parts.push_back(Binary(4));
        more = true;
      }
    }
    if (chain.parts.empty()) return node;
    chain.parts.insert(chain.parts.begin(), std::move(node));
    return chain;
  }

  Node Unary(bool with_filters) {
    const Depth depth(*this);
    Node node;
    if (Take("-")) {
      node = Tree(Op::kUnary, "-", {Unary(false)});
    } else if (Take("+")) {
      node = Tree(Op::kUnary, "+", {Unary(false)});
    } else {
      node = Primary();
    }
    node = Postfix(std::move(node));
    return with_filters ? Filters(std::move(node)) : node;
  }

  Node Primary() {
    if (AtEnd()) Fail("expected a value");
    const Word word = words_[at_];
    if (word.kind == Kind::kString) {
      std::string text;
      while (!AtEnd() && words_[at_].kind == Kind::kString) text += words_[at_++].text;
      return Leaf(Op::kLiteral, "", text);
    }
    if (word.kind == Kind::kNumber) {
      ++at_;
      const bool real = word.text.find_first_of(".eE") != std::string::npos;
      if (!real && word.text.size() > 18) Fail("the integer is too large");
      return Leaf(Op::kLiteral, "",
                  real ? TaskJson(std::strtod(word.text.c_str(), nullptr))
                       : TaskJson(std::strtoll(word.text.c_str(), nullptr, 10)));
    }
    if (word.kind == Kind::kName) {
      ++at_;
      if (word.text == "true" || word.text == "True") return Leaf(Op::kLiteral, "", true);
      if (word.text == "false" || word.text == "False") return Leaf(Op::kLiteral, "", false);
      if (word.text == "none" || word.text == "None") return Leaf(Op::kLiteral, "", nullptr);
      return Leaf(Op::kName, word.text);
    }
    if (Take("(")) {
      Node node = Tree(Op::kList, "", {});
      bool tuple = Sees(")");
      while (!Sees(")")) {
        node.parts.push_back(Conditional());
        if (!Take(",")) break;
        tuple = true;
      }
      Expect(")");
      return tuple ? std::move(node) : Node(std::move(node.parts[0]));
    }
    if (Take("[")) {
      Node node = Tree(Op::kList, "", {});
      while (!Sees("]")) {
        node.parts.push_back(Conditional());
        if (!Take(",")) break;
      }
      Expect("]");
      return node;
    }
    if (Take("{")) {
      Node node = Tree(Op::kDict, "", {});
      while (!Sees("}")) {
        node.parts.push_back(Conditional());
        Expect(":");
        node.parts.push_back(Conditional());
        if (!Take(",")) break;
      }
      Expect("}");
      return node;
    }
    Fail("expected a value");
  }

  Node Postfix(Node node) {
    while (true) {
      if (Take(".")) {
        if (!AtEnd() && words_[at_].kind == Kind::kNumber) {
          Node index =
              Leaf(Op::kLiteral, "", std::strtoll(words_[at_++].text.c_str(), nullptr, 10));
          node = Tree(Op::kIndex, "", {std::move(node), std::move(index)});
          continue;
        }
        std::string name = Name();
        if (Sees("(")) {
          Node call = Tree(Op::kMethod, std::move(name), {std::move(node)});
          Arguments(call);
          node = std::move(call);
        } else {
          node = Tree(Op::kAttribute, std::move(name), {std::move(node)});
        }
      } else if (Take("[")) {
        node = Subscript(std::move(node));
      } else if (Sees("(")) {
        if (node.op != Op::kName) Fail("this cannot be called");
        Node call = Leaf(Op::kFunction, node.text);
        Arguments(call);
        node = std::move(call);
      } else {
        return node;
      }
    }
  }

  Node Subscript(Node node) {
    std::vector<Node> bounds(1);
    bool slice = false;
    if (!Sees(":")) bounds[0] = Conditional();
    while (Take(":")) {
      slice = true;
      bounds.emplace_back();
      if (!Sees(":") && !Sees("]")) bounds.back() = Conditional();
    }
    Expect("]");
    if (bounds.size() > 3) Fail("a slice has three parts at most");
    if (!slice) return Tree(Op::kIndex, "", {std::move(node), std::move(bounds[0])});
    bounds.resize(3);
    return Tree(
        Op::kSlice, "",
        {std::move(node), std::move(bounds[0]), std::move(bounds[1]), std::move(bounds[2])});
  }

  // (a, b, name=c): appends the values to call.parts and the names to call.names.
  void Arguments(Node& call) {
    Expect("(");
    while (!Sees(")")) {
      if (at_ + 1 < words_.size() && words_[at_].kind == Kind::kName &&
          words_[at_ + 1].kind == Kind::kSymbol && words_[at_ + 1].text == "=") {
        call.names.push_back(Name());
        Expect("=");
      } else if (!call.names.empty()) {
        Fail("a value after named ones needs a name");
      }
      call.parts.push_back(Conditional());
      if (!Take(",")) break;
    }
    Expect(")");
  }

  Node Filters(Node node) {
    while (true) {
      if (Take("|")) {
        Node filter = Tree(Op::kFilter, Name(), {std::move(node)});
        if (Sees("(")) Arguments(filter);
        node = std::move(filter);
      } else if (Take("is")) {
        const bool negated = Take("not");
        Node test = Tree(Op::kTest, Name(), {std::move(node)});
        if (Sees("(")) {
          Arguments(test);
        } else if (!AtEnd() &&
                   (words_[at_].kind == Kind::kString || words_[at_].kind == Kind::kNumber)) {
          test.parts.push_back(Primary());
        }
        node = std::move(test);
        if (negated) node = Tree(Op::kUnary, "not", {std::move(node)});
      } else {
        return node;
      }
    }
  }

  std::string_view whole_, inside_;
  std::vector<Word> words_;
  size_t at_ = 0, depth_ = 0;
};

class BlockParser {
 public:
  explicit BlockParser(std::string_view text) : whole_(text), rest_(text) {}

  std::vector<Node> Whole() {
    std::vector<Node> nodes = Until({});
    if (!tag_.empty())
      FailAt(whole_, rest_.data(), fmt::format("'{}' without its beginning", tag_));
    return nodes;
  }

 private:
  // Statements up to a tag whose first word is one of `ends`, left in tag_.
  std::vector<Node> Until(std::initializer_list<std::string_view> ends) {
    if (++depth_ > kDepth) FailAt(whole_, rest_.data(), "blocks inside blocks are too deep");
    std::vector<Node> nodes;
    tag_.clear();
    while (!rest_.empty()) {
      const size_t open = std::min({rest_.find("{{"), rest_.find("{%"), rest_.find("{#")});
      std::string text(rest_.substr(0, open));
      const bool trim = open != std::string_view::npos && rest_.substr(open + 2, 1) == "-";
      if (trim) text = StripRight(text);
      if (strip_next_) text = StripLeft(text);
      strip_next_ = false;
      if (!text.empty()) nodes.push_back(Leaf(Op::kText, text));
      if (open == std::string_view::npos) {
        rest_ = {};
        break;
      }
      const char kind = rest_[open + 1];
      const std::string_view inside = Inside(open, kind);
      if (kind == '{') {
        ExpressionParser parser(whole_, inside);
        nodes.push_back(Tree(Op::kOutput, "", {parser.Expression()}));
        parser.End();
      } else if (kind == '%') {
        ExpressionParser parser(whole_, inside);
        const std::string tag = parser.Name();
        if (std::find(ends.begin(), ends.end(), tag) != ends.end()) {
          tag_ = tag;
          inside_ = inside;
          --depth_;
          return nodes;
        }
        nodes.push_back(Statement(tag, parser, inside));
      }
    }
    if (ends.size() > 0) {
      FailAt(whole_, rest_.data() == nullptr ? whole_.data() + whole_.size() : rest_.data(),
             fmt::format("expected '{}' before the end", *(ends.end() - 1)));
    }
    --depth_;
    return nodes;
  }

  // The text between the marks, which it passes. A mark in a string of the expression counts as
  // text.
  std::string_view Inside(size_t open, char kind) {
    const char close = kind == '{' ? '}' : kind;
    size_t at = open + 2, braces = 0;
    char quote = 0;
    for (; at + 1 < rest_.size(); ++at) {
      const char c = rest_[at];
      if (kind == '#') {
        if (c == '#' && rest_[at + 1] == '}') break;
      } else if (quote != 0) {
        if (c == '\\')
          ++at;
        else if (c == quote)
          quote = 0;
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (braces == 0 && c == close && rest_[at + 1] == '}') {
        break;
      } else if (c == '{') {
        ++braces;
      } else if (c == '}' && braces > 0) {
        --braces;
      }
    }
    if (at + 1 >= rest_.size()) {
      FailAt(whole_, rest_.data() + open, fmt::format("'{{{}' without its end", kind));
    }
    std::string_view inside = rest_.substr(open + 2, at - open - 2);
    rest_.remove_prefix(at + 2);
    if (!inside.empty() && inside.front() == '-') inside.remove_prefix(1);
    strip_next_ = !inside.empty() && inside.back() == '-';
    if (strip_next_) inside.remove_suffix(1);
    return inside;
  }

  Node Statement(const std::string& tag, ExpressionParser& parser, std::string_view inside) {
    if (tag == "set") {
      Node node = Leaf(Op::kSet, "");
      node.names = parser.Names();
      parser.Expect("=");
      node.parts.push_back(parser.Expression());
      parser.End();
      return node;
    }
    if (tag == "if") {
      Node node = Leaf(Op::kIfBlock, "");
      node.parts.push_back(parser.Expression());
      parser.End();
      while (true) {
        node.bodies.push_back(Until({"elif", "else", "endif"}));
        if (tag_ == "endif") break;
        if (tag_ == "else") {
          node.bodies.push_back(Until({"endif"}));
          break;
        }
        ExpressionParser next(whole_, inside_);
        next.Name();
        node.parts.push_back(next.Expression());
        next.End();
      }
      tag_.clear();
      return node;
    }
    if (tag == "for") {
      Node node = Leaf(Op::kFor, "");
      node.names = parser.Names();
      parser.Expect("in");
      node.parts.push_back(parser.OrExpression());
      node.parts.push_back(parser.Take("if") ? parser.OrExpression() : Node());
      parser.End();
      node.bodies.push_back(Until({"else", "endfor"}));
      node.bodies.push_back(tag_ == "else" ? Until({"endfor"}) : std::vector<Node>());
      tag_.clear();
      return node;
    }
    FailAt(whole_, inside.data(),
           fmt::format("'{}' is not one of the statements if, for, set", tag));
  }

  std::string_view whole_, rest_, inside_;
  std::string tag_;
  bool strip_next_ = false;
  size_t depth_ = 0;
};

}  // namespace

Template::Node ParseTemplate(std::string_view text) {
  Node root = Leaf(Op::kBlock, "");
  root.bodies.push_back(BlockParser(text).Whole());
  return root;
}

Template::Node ParseExpression(std::string_view text) {
  ExpressionParser parser(text, text);
  Node node = parser.Expression();
  parser.End();
  return node;
}

}  // namespace linnet
