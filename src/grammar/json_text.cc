#include "grammar/json_text.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "grammar/regex.h"
#include "text/utf8.h"

namespace linnet {
namespace {

constexpr uint32_t kMostIndent = 20;
// So that any reader of JSON gets a finite number: 64-bit integers, doubles.
constexpr uint32_t kIntegerDigits = 18, kNumberDigits = 15, kExponentDigits = 2;

}  // namespace

JsonText::JsonText(Rules& rules) : rules_(rules) {
  const Id line =
      rules.Sequence({rules.Bytes("\n"), rules.Repeat(rules.Bytes(" "), 0, kMostIndent)});
  blank_ = rules.Choice({rules.Empty(), rules.Bytes(" "), line});
  comma_ = rules.Sequence({rules.Bytes(","), blank_});
  colon_ = rules.Sequence({rules.Bytes(":"), blank_});
  quote_ = rules.Bytes("\"");
}

JsonText::Id JsonText::String(uint32_t least, uint32_t most) {
  CharSet plain(0x20, 0x10FFFF);
  plain = plain.Minus(CharSet('"', '"')).Minus(CharSet('\\', '\\'));
  CharSet escapes;
  for (const char c : std::string_view("\"\\/bfnrt")) {
    escapes.Add(static_cast<char32_t>(c), static_cast<char32_t>(c));
  }
  CharSet hex('0', '9'), unpaired('0', '9'), low('0', '7');
  hex.Add('a', 'f');
  hex.Add('A', 'F');
  unpaired = hex.Minus(CharSet('d', 'd')).Minus(CharSet('D', 'D'));
  CharSet d('d', 'd');
  d.Add('D', 'D');
  // No surrogates, which are not characters.
  const Id any = rules_.Chars(hex);
  const Id code = rules_.Choice({rules_.Sequence({rules_.Chars(unpaired), any, any, any}),
                                 rules_.Sequence({rules_.Chars(d), rules_.Chars(low), any, any})});
  const Id escape = rules_.Sequence(
      {rules_.Bytes("\\"),
       rules_.Choice({rules_.Chars(escapes), rules_.Sequence({rules_.Bytes("u"), code})})});
  return Quoted(rules_.Repeat(rules_.Choice({rules_.Chars(plain), escape}), least, most));
}

std::string JsonText::Spelled(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    constexpr std::string_view kSpecial = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
    if (const size_t at = kSpecial.find(c); at != kSpecial.npos) {
      out += '\\';
      out += kLetters[at];
    } else if (static_cast<uint8_t>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

// A tree of the texts' characters; what leaves it is followed by anything.
JsonText::Id JsonText::NotOneOf(const std::vector<std::string>& texts) {
  struct Node {
    std::map<char32_t, uint32_t> next;
    bool excluded = false;
  };
  std::vector<Node> tree(1);
  for (const std::string& text : texts) {
    uint32_t node = 0;
    for (std::string_view rest = text; !rest.empty();) {
      const Utf8Step step = NextUtf8(rest);
      rest.remove_prefix(step.bytes);
      const auto [at, fresh] = tree[node].next.emplace(step.c, static_cast<uint32_t>(tree.size()));
      const uint32_t next = at->second;
      if (fresh) tree.emplace_back();
      node = next;
    }
    tree[node].excluded = true;
  }
  const CharSet all = CharSet::All(), ascii(0, 0x7F), wide(0x80, 0x10FFFF);
  // Nodes of the graph: begin, end, outside the tree, before a wide character that is outside.
  constexpr uint32_t kOutside = 2, kWide = 3, kTree = 4;
  const auto in_graph = [](uint32_t node) { return node == 0 ? 0 : node + kTree - 1; };
  const auto chars = [&](const CharSet& set) {
    const auto [at, fresh] = spelled_.emplace(set, 0);
    if (fresh) at->second = AddChars(set, Spelling::kJson, rules_);
    return at->second;
  };
  std::vector<Rules::Edge> edges = {{kOutside, chars(all), kOutside},
                                    {kOutside, rules_.Empty(), 1},
                                    {kWide, chars(wide), kOutside}};
  for (uint32_t node = 0; node < tree.size(); ++node) {
    CharSet others = all;
    for (const auto& [c, next] : tree[node].next) {
      others = others.Minus(CharSet(c, c));
      edges.push_back({in_graph(node), chars(CharSet(c, c)), in_graph(next)});
    }
    edges.push_back({in_graph(node), chars(others.And(ascii)), kOutside});
    const CharSet others_wide = others.And(wide);
    if (others_wide == wide) {
      edges.push_back({in_graph(node), rules_.Empty(), kWide});
    } else {
      edges.push_back({in_graph(node), chars(others_wide), kOutside});
    }
    if (!tree[node].excluded) edges.push_back({in_graph(node), rules_.Empty(), 1});
  }
  const auto nodes = static_cast<uint32_t>(tree.size() + kTree - 1);
  return Quoted(rules_.Graph(nodes, std::move(edges)));
}

JsonText::Id JsonText::Integer() {
  const Id digit = rules_.Chars(CharSet('0', '9'));
  return rules_.Sequence(
      {rules_.Optional(rules_.Bytes("-")),
       rules_.Choice(
           {rules_.Bytes("0"), rules_.Sequence({rules_.Chars(CharSet('1', '9')),
                                                rules_.Repeat(digit, 0, kIntegerDigits - 1)})})});
}

JsonText::Id JsonText::Number() {
  const Id digit = rules_.Chars(CharSet('0', '9'));
  CharSet e('e', 'e'), sign('+', '+');
  e.Add('E', 'E');
  sign.Add('-', '-');
  const Id fraction = rules_.Sequence({rules_.Bytes("."), rules_.Repeat(digit, 1, kNumberDigits)});
  const Id exponent = rules_.Sequence({rules_.Chars(e), rules_.Optional(rules_.Chars(sign)),
                                       rules_.Repeat(digit, 1, kExponentDigits)});
  return rules_.Sequence({Integer(), rules_.Optional(fraction), rules_.Optional(exponent)});
}

JsonText::Id JsonText::Boolean() {
  return rules_.Choice({rules_.Bytes("true"), rules_.Bytes("false")});
}

JsonText::Id JsonText::List(char open, Id item, char close) {
  const Id more = rules_.Repeat(rules_.Sequence({comma_, item}), 0, Rules::kNoLimit);
  const Id items = rules_.Sequence({item, more, blank_});
  return rules_.Sequence({Open(open), rules_.Optional(items), rules_.Bytes({&close, 1})});
}

JsonText::Id JsonText::AnyValue() {
  if (!any_) {
    any_ = rules_.NewRule();
    const Id array = AnyArray(), object = AnyObject();
    rules_.SetRule(*any_, rules_.Choice({object, array, String(0, Rules::kNoLimit), Number(),
                                         Boolean(), Null()}));
  }
  return rules_.Rule(*any_);
}

JsonText::Id JsonText::AnyArray() {
  if (!any_array_) {
    any_array_ = rules_.NewRule();
    rules_.SetRule(*any_array_, List('[', AnyValue(), ']'));
  }
  return rules_.Rule(*any_array_);
}

JsonText::Id JsonText::AnyObject() {
  if (!any_object_) {
    any_object_ = rules_.NewRule();
    const Id member = Member(String(0, Rules::kNoLimit), AnyValue());
    rules_.SetRule(*any_object_, List('{', member, '}'));
  }
  return rules_.Rule(*any_object_);
}

JsonText::Id JsonText::Value(const Json& value) {
  if (value.is_string()) return Exactly(value.get_ref<const std::string&>());
  if (value.is_null()) return Null();
  if (!value.is_structured()) return rules_.Bytes(value.dump());
  const char* const brackets = value.is_array() ? "[]" : "{}";
  std::vector<Id> parts = {Open(brackets[0])};
  for (auto item = value.begin(); item != value.end(); ++item) {
    if (item != value.begin()) parts.push_back(comma_);
    const Id inside = Value(*item);
    parts.push_back(value.is_array() ? inside : Member(Exactly(item.key()), inside));
  }
  if (!value.empty()) parts.push_back(blank_);
  parts.push_back(rules_.Bytes({brackets + 1, 1}));
  return rules_.Sequence(std::move(parts));
}

}  // namespace linnet
