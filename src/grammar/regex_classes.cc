#include "grammar/regex_classes.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace linnet {
namespace {

// As utf8proc numbers them.
constexpr std::array<std::string_view, 30> kCategories = {
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

// The sets of all categories, in one pass over Unicode.
const std::array<CharSet, kCategories.size()>& AllCategories() {
  static const auto sets = [] {
    std::array<CharSet, kCategories.size()> all;
    for (char32_t c = 0; c < 0x110000; ++c) {
      const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
      all[static_cast<size_t>(category)].Append(c);
    }
    return all;
  }();
  return sets;
}

CharSet AsciiDigits() { return CharSet('0', '9'); }

CharSet AsciiWord() {
  CharSet set = AsciiDigits();
  set.Add('a', 'z');
  set.Add('A', 'Z');
  set.Add('_', '_');
  return set;
}

// In all dialects; some have the characters of Unicode too, some the byte order mark, some the
// separators 1C to 1F.
CharSet AsciiSpaces() {
  CharSet set('\t', '\r');
  set.Add(' ', ' ');
  return set;
}

// White_Space of Unicode, and what some dialects add.
CharSet AllSpaces() {
  CharSet set = AsciiSpaces();
  for (const CharSet::Range range : {CharSet::Range{0x1C, 0x20},
                                     {0x85, 0x85},
                                     {0xA0, 0xA0},
                                     {0x1680, 0x1680},
                                     {0x180E, 0x180E},
                                     {0x2000, 0x200D},
                                     {0x2028, 0x2029},
                                     {0x202F, 0x202F},
                                     {0x205F, 0x2060},
                                     {0x3000, 0x3000},
                                     {0xFEFF, 0xFEFF}}) {
    set.Add(range.first, range.last);
  }
  return set;
}

const CharSet& AllDigits() {
  static const CharSet set = *CategoryByName("Nd");
  return set;
}

const CharSet& AllWords() {
  static const CharSet set = [] {
    CharSet all = CharSet::Where(IsWordChar);
    all.Add(*CategoryByName("N"));  // Python's
    return all;
  }();
  return set;
}

}  // namespace

RegexClass RegexClass::ByLetter(char letter) {
  RegexClass own;
  switch (letter | 32) {
    case 'd':
      own.in_all_ = AsciiDigits();
      own.digits_ = true;
      break;
    case 'w':
      own.in_all_ = AsciiWord();
      own.words_ = true;
      break;
    default:
      own.in_all_ = AsciiSpaces();
      own.in_some_ = AllSpaces();
  }
  return letter < 'a' ? own.Complement() : own;
}

void RegexClass::Add(const RegexClass& other) {
  in_all_.Add(other.in_all_);
  in_some_.Add(other.in_some_);
  digits_ |= other.digits_;
  words_ |= other.words_;
}

RegexClass RegexClass::Complement() const {
  CharSet some = in_some_;
  if (digits_) some.Add(AllDigits());
  if (words_) some.Add(AllWords());
  RegexClass other;
  other.in_all_ = some.Complement();
  other.in_some_ = in_all_.Complement();
  return other;
}

std::optional<CharSet> CategoryByName(std::string_view name) {
  if (name.empty() || name.size() > 2 || name == "C") return std::nullopt;
  CharSet set;
  bool found = false;
  for (size_t i = 0; i < kCategories.size(); ++i) {
    if (!kCategories[i].starts_with(name)) continue;
    set.Add(AllCategories()[i]);
    found = true;
  }
  return found ? std::optional(set) : std::nullopt;
}

}  // namespace linnet
