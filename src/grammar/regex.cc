#include "grammar/regex.h"

#include <array>
#include <utility>

#include "grammar/grammar_text.h"
#include "grammar/regex_tree.h"

namespace linnet {
namespace {

class RegexAdder {
 public:
  RegexAdder(std::string_view regex, const std::string& name, RegexPlace place, Spelling spelling,
             Rules& rules)
      : tree_(regex, name),
        text_(regex, name),
        spelling_(spelling),
        rules_(rules),
        anywhere_(place == RegexPlace::kAnywhere) {}

  Rules::Id Add() { return AddNode(tree_.root, {true, anywhere_}, {true, anywhere_}); }

 private:
  using Id = Rules::Id;
  // One side of a part of the regex: whether it is the side of the whole regex, and whether the
  // text may go on there.
  struct Side {
    bool outer, open;
  };

  Id Rest(Side side) {
    if (!side.open) return rules_.Empty();
    return rules_.Repeat(AddChars(CharSet::All(), spelling_, rules_), 0, Rules::kNoLimit);
  }

  Id AddNode(uint32_t index, Side begin, Side end) {
    const RegexTree::Node& node = tree_.nodes[index];
    if (!node.anchored) return rules_.Sequence({Rest(begin), AddPlain(node), Rest(end)});
    switch (node.kind) {
      case RegexTree::Kind::kBegin:
        if (!begin.outer) text_.FailAt(node.at, "^ is supported only at the begin");
        return Rest(end);
      case RegexTree::Kind::kEnd:
        if (!end.outer) text_.FailAt(node.at, "$ is supported only at the end");
        return Rest(begin);
      case RegexTree::Kind::kChoice: {
        std::vector<Id> parts;
        parts.reserve(node.parts.size());
        for (const uint32_t part : node.parts) parts.push_back(AddNode(part, begin, end));
        return rules_.Choice(std::move(parts));
      }
      case RegexTree::Kind::kSequence:
        return AddSequence(node, begin, end);
      default:
        text_.FailAt(node.at, "^ and $ are not supported in a repetition");
    }
  }

  Id AddSequence(const RegexTree::Node& node, Side begin, Side end) {
    size_t first = 0, last = node.parts.size();
    const auto kind = [&](size_t i) { return tree_.nodes[node.parts[i]].kind; };
    for (; begin.outer && first < last && kind(first) == RegexTree::Kind::kBegin; ++first) {
      begin.open = false;
    }
    for (; end.outer && first < last && kind(last - 1) == RegexTree::Kind::kEnd; --last) {
      end.open = false;
    }
    if (first == last) {
      // ^$ is the empty text; any other text has something before or after its place.
      return rules_.Sequence({Rest(begin), Rest(end)});
    }
    std::vector<Id> parts;
    parts.reserve(last - first);
    for (size_t i = first; i < last; ++i) {
      const Side inner = {false, false};
      parts.push_back(
          AddNode(node.parts[i], i == first ? begin : inner, i + 1 == last ? end : inner));
    }
    return rules_.Sequence(std::move(parts));
  }

  Id AddPlain(const RegexTree::Node& node) {
    if (node.kind == RegexTree::Kind::kChars) return AddChars(node.chars, spelling_, rules_);
    std::vector<Id> parts;
    parts.reserve(node.parts.size());
    for (const uint32_t part : node.parts) parts.push_back(AddPlain(tree_.nodes[part]));
    if (node.kind == RegexTree::Kind::kChoice) return rules_.Choice(std::move(parts));
    if (node.kind == RegexTree::Kind::kSequence) return rules_.Sequence(std::move(parts));
    return rules_.Repeat(parts.front(), node.least, node.most);
  }

  const RegexTree tree_;
  const GrammarText text_;
  const Spelling spelling_;
  Rules& rules_;
  const bool anywhere_;
};

}  // namespace

Rules::Id AddRegex(std::string_view regex, const std::string& name, RegexPlace place,
                   Spelling spelling, Rules& rules) {
  return RegexAdder(regex, name, place, spelling, rules).Add();
}

Rules::Id AddChars(const CharSet& set, Spelling spelling, Rules& rules) {
  if (spelling == Spelling::kPlain) return rules.Chars(set);
  CharSet special(0, 0x1F);
  special.Add('"', '"');
  special.Add('\\', '\\');
  // What has an escape of its own, by its letter; and the last digit of other controls, by the one
  // before it.
  CharSet letters;
  std::array<CharSet, 2> codes;
  const CharSet escaped = set.And(special);
  for (const auto& [first, last] : escaped.ranges()) {
    for (char32_t c = first; c <= last; ++c) {
      constexpr std::string_view kEscaped = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
      const size_t at = kEscaped.find(static_cast<char>(c));
      if (at != kEscaped.npos) {
        letters.Add(static_cast<uint8_t>(kLetters[at]), static_cast<uint8_t>(kLetters[at]));
      } else {
        const auto digit = static_cast<uint8_t>("0123456789abcdef"[c % 16]);
        codes[c / 16].Add(digit, digit);
      }
    }
  }
  const Rules::Id code =
      rules.Sequence({rules.Bytes("u00"),
                      rules.Choice({rules.Sequence({rules.Bytes("0"), rules.Chars(codes[0])}),
                                    rules.Sequence({rules.Bytes("1"), rules.Chars(codes[1])})})});
  const Rules::Id escape =
      rules.Sequence({rules.Bytes("\\"), rules.Choice({rules.Chars(letters), code})});
  return rules.Choice({rules.Chars(set.Minus(special)), escape});
}

}  // namespace linnet
