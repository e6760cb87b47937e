// Classes of characters in regular expressions.
#ifndef LINNET_GRAMMAR_REGEX_CLASSES_H_
#define LINNET_GRAMMAR_REGEX_CLASSES_H_

#include <optional>
#include <string_view>

#include "grammar/char_set.h"

namespace linnet {

// Dialects disagree about classes: whether \d is more than the ASCII digits, for example. A class
// is known by what belongs to it in all dialects, and what does in some.
class RegexClass {
 public:
  RegexClass() = default;
  explicit RegexClass(const CharSet& set) : in_all_(set), in_some_(set) {}
  // \d \w \s and their complements \D \W \S.
  static RegexClass ByLetter(char letter);

  void Add(const RegexClass& other);
  RegexClass Complement() const;
  const CharSet& in_all() const { return in_all_; }

 private:
  CharSet in_all_, in_some_;
  // Letters whose classes belong to in_some too. Their tables are made only for a complement.
  bool digits_ = false, words_ = false;
};

// A general category of Unicode, such as L or Lu, in \p{…}.
std::optional<CharSet> CategoryByName(std::string_view name);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_REGEX_CLASSES_H_
