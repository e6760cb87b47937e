#include "grammar/regex_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "grammar/grammar_text.h"
#include "grammar/regex_classes.h"
#include "grammar/rules.h"

namespace linnet {
namespace {

class RegexReader {
 public:
  RegexReader(std::string_view regex, const std::string& name, std::vector<RegexTree::Node>& nodes)
      : text_(regex, name), nodes_(nodes) {}

  uint32_t Read() {
    const uint32_t root = ReadChoice(0);
    if (!text_.done()) text_.Fail("found ')' without '('");
    return root;
  }

 private:
  using Kind = RegexTree::Kind;

  uint32_t Add(RegexTree::Node node) {
    for (const uint32_t part : node.parts) node.anchored |= nodes_[part].anchored;
    nodes_.push_back(std::move(node));
    return static_cast<uint32_t>(nodes_.size() - 1);
  }

  uint32_t ReadChoice(size_t depth) {
    if (depth > GrammarText::kDeepest) text_.Fail("groups are nested too deeply");
    RegexTree::Node choice{.kind = Kind::kChoice, .at = text_.at()};
    do {
      choice.parts.push_back(ReadSequence(depth));
    } while (text_.Take("|"));
    return choice.parts.size() == 1 ? choice.parts.front() : Add(std::move(choice));
  }

  uint32_t ReadSequence(size_t depth) {
    RegexTree::Node sequence{.kind = Kind::kSequence, .at = text_.at()};
    while (!text_.done() && text_.peek() != '|' && text_.peek() != ')') {
      sequence.parts.push_back(ReadRepeated(depth));
    }
    return sequence.parts.size() == 1 ? sequence.parts.front() : Add(std::move(sequence));
  }

  // {m}, {m,} or {m,n}; any other brace is a character.
  bool IsCount() const {
    size_t i = 1;
    const auto digit = [&] { return text_.peek(i) >= '0' && text_.peek(i) <= '9'; };
    if (!digit()) return false;
    while (digit()) ++i;
    if (text_.peek(i) == ',') ++i;
    while (digit()) ++i;
    return text_.peek(i) == '}';
  }

  uint32_t ReadRepeated(size_t depth) {
    uint32_t node = ReadAtom(depth);
    for (size_t times = 0;; ++times) {
      const size_t at = text_.at();
      uint32_t least = 0, most = Rules::kNoLimit;
      if (text_.Take("?")) {
        most = 1;
      } else if (text_.Take("+")) {
        least = 1;
      } else if (text_.peek() == '{' && IsCount()) {
        text_.Skip(1);
        most = least = text_.TakeCount();
        if (text_.Take(",")) most = text_.peek() == '}' ? Rules::kNoLimit : text_.TakeCount();
        text_.Skip(1);
        if (most < least) text_.FailAt(at, fmt::format("{} is more than {}", least, most));
      } else if (text_.StartsWith("{,")) {
        text_.Fail("{,n} differs between dialects; write {0,n}");
      } else if (!text_.Take("*")) {
        return node;
      }
      if (times > 0) text_.FailAt(at, "a repetition is repeated; write a group");
      if (text_.peek() == '+') text_.Fail("possessive repetitions are not supported");
      text_.Take("?");  // lazy: the same texts match
      node = Add({.kind = Kind::kRepeat, .at = at, .parts = {node}, .least = least, .most = most});
    }
  }

  uint32_t ReadAtom(size_t depth) {
    const size_t at = text_.at();
    const char c = text_.peek();
    if (c == '(') return ReadGroup(depth);
    if (c == '[') return Add({.kind = Kind::kChars, .at = at, .chars = ReadClass().in_all()});
    if (c == '*' || c == '+' || c == '?' || (c == '{' && IsCount())) {
      text_.Fail(fmt::format("found {}, expected something to repeat before it", text_.Found()));
    }
    if (text_.Take("^") || text_.Take("\\A")) {
      return Add({.kind = Kind::kBegin, .anchored = true, .at = at});
    }
    if (text_.Take("$") || text_.Take("\\z") || text_.Take("\\Z")) {
      return Add({.kind = Kind::kEnd, .anchored = true, .at = at});
    }
    if (text_.Take(".")) {
      CharSet ends('\n', '\n');
      ends.Add('\r', '\r');
      ends.Add(0x85, 0x85);
      ends.Add(0x2028, 0x2029);
      return Add({.kind = Kind::kChars, .at = at, .chars = ends.Complement()});
    }
    if (c == '\\')
      return Add({.kind = Kind::kChars, .at = at, .chars = ReadEscape(false).in_all()});
    const char32_t next = text_.Next();
    return Add({.kind = Kind::kChars, .at = at, .chars = CharSet(next, next)});
  }

  uint32_t ReadGroup(size_t depth) {
    const size_t at = text_.at();
    text_.Skip(1);
    if (text_.Take("?")) {
      if (text_.StartsWith("=") || text_.StartsWith("!"))
        text_.FailAt(at, "lookahead is not supported");
      if (text_.StartsWith("<=") || text_.StartsWith("<!")) {
        text_.FailAt(at, "lookbehind is not supported");
      }
      if (text_.Take("<") || text_.Take("P<")) {
        text_.TakeWhile([](char c) { return c != '>'; });
        if (!text_.Take(">")) text_.FailAt(at, "the group's name is not closed, expected >");
      } else if (!text_.Take(":")) {
        text_.FailAt(at, "flags, conditions and atomic groups are not supported");
      }
    }
    const uint32_t node = ReadChoice(depth + 1);
    if (!text_.Take(")")) text_.FailAt(at, "the group is not closed, expected )");
    return node;
  }

  static RegexClass One(char32_t c) { return RegexClass(CharSet(c, c)); }
  static bool IsLetterOrDigit(char c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
  }

  RegexClass ReadEscape(bool in_class) {
    const size_t at = text_.at();
    text_.Skip(1);
    if (text_.done()) text_.FailAt(at, "a backslash ends the regex");
    const char c = text_.peek();
    if (!IsLetterOrDigit(c)) return One(text_.Next());
    text_.Skip(1);
    switch (c) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
      case 's':
      case 'S':
        return RegexClass::ByLetter(c);
      case 'p':
      case 'P':
        return ReadCategory(at, c == 'P');
      case 't':
        return One('\t');
      case 'n':
        return One('\n');
      case 'r':
        return One('\r');
      case 'f':
        return One('\f');
      case 'v':
        return One('\v');
      case '0':
        if (text_.peek() < '0' || text_.peek() > '9') return One(0);
        break;
      case 'x':
      case 'u':
        return One(ReadCode(at, c == 'x' ? 2 : 4));
      case 'U':
        return One(ReadCode(at, 8));
      case 'b':
        if (in_class) return One('\b');
        [[fallthrough]];
      case 'B':
        text_.FailAt(at, "word boundaries are not supported");
      default:
        break;
    }
    if (c >= '0' && c <= '9') text_.FailAt(at, "backreferences and octal codes are not supported");
    text_.FailAt(at, fmt::format("\\{} is not supported", c));
  }

  char32_t ReadCode(size_t at, size_t digits) {
    if (text_.Take("{")) {
      size_t braced = 0;
      while (text_.peek(braced) != '}' && braced < 9) ++braced;
      if (braced == 0 || braced > 8) text_.FailAt(at, "expected 1 to 8 hexadecimal digits in {}");
      const char32_t code = text_.TakeHex(braced);
      text_.Skip(1);
      return Scalar(at, code);
    }
    const char32_t code = text_.TakeHex(digits);
    // A pair of surrogates.
    if (code >= 0xD800 && code < 0xDC00 && text_.Take("\\u")) {
      const char32_t low = text_.TakeHex(4);
      if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    return Scalar(at, code);
  }

  char32_t Scalar(size_t at, char32_t code) const {
    if (code >= 0xD800 && code <= 0xDFFF) text_.FailAt(at, "a surrogate is not a character");
    return code;
  }

  RegexClass ReadCategory(size_t at, bool negated) {
    std::string_view name;
    if (text_.Take("{")) {
      name = text_.TakeWhile([](char c) { return c != '}'; });
      if (!text_.Take("}")) text_.FailAt(at, "the category is not closed, expected }");
    } else {
      const size_t begin = text_.at();
      if (!text_.done()) text_.Next();
      name = text_.From(begin);
    }
    const auto set = CategoryByName(name);
    if (!set) {
      text_.FailAt(at,
                   fmt::format("\\p{{{}}} is not supported, expected a general category such as "
                               "L, Lu or Nd",
                               name.substr(0, 40)));
    }
    const RegexClass both(*set);
    return negated ? both.Complement() : both;
  }

  RegexClass ReadClass() {
    const size_t at = text_.at();
    text_.Skip(1);
    const bool negated = text_.Take("^");
    RegexClass all;
    if (text_.peek() == ']') {
      text_.FailAt(at, "a class that begins with ] differs between dialects; write \\]");
    }
    while (text_.peek() != ']') {
      if (text_.done()) text_.FailAt(at, "the class is not closed, expected ]");
      if (text_.StartsWith("[:")) text_.Fail("[:names:] of classes are not supported");
      if (text_.StartsWith("&&") || text_.StartsWith("--") || text_.StartsWith("~~")) {
        text_.Fail("operations on classes are not supported; write \\& \\- \\~ for the characters");
      }
      const RegexClass first = ReadMember();
      const bool range = text_.peek() == '-' && text_.peek(1) != ']' && IsOne(first);
      if (!range) {
        all.Add(first);
        continue;
      }
      const size_t dash = text_.at();
      text_.Skip(1);
      if (text_.done()) text_.FailAt(at, "the class is not closed, expected ]");
      const RegexClass last = ReadMember();
      if (!IsOne(last)) text_.FailAt(dash, "a range ends with a class; write \\-");
      const char32_t low = first.in_all().ranges().front().first;
      const char32_t high = last.in_all().ranges().front().first;
      if (high < low) text_.FailAt(dash, "the range ends before it begins");
      all.Add(RegexClass(CharSet(low, high)));
    }
    text_.Skip(1);
    return negated ? all.Complement() : all;
  }

  RegexClass ReadMember() { return text_.peek() == '\\' ? ReadEscape(true) : One(text_.Next()); }

  static bool IsOne(const RegexClass& c) {
    const auto& ranges = c.in_all().ranges();
    return ranges.size() == 1 && ranges[0].first == ranges[0].last;
  }

  GrammarText text_;
  std::vector<RegexTree::Node>& nodes_;
};

}  // namespace

RegexTree::RegexTree(std::string_view regex, const std::string& name)
    : root(RegexReader(regex, name, nodes).Read()) {}

}  // namespace linnet
