// CharSet: a set of Unicode characters as sorted ranges.
#ifndef LINNET_GRAMMAR_CHAR_SET_H_
#define LINNET_GRAMMAR_CHAR_SET_H_

#include <compare>
#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

namespace linnet {

// Holds scalar values only, never surrogates. A value; not thread-safe while it is changed.
class CharSet {
 public:
  struct Range {
    char32_t first, last;
    auto operator<=>(const Range&) const = default;  // NOLINT(modernize-use-nullptr): its 0
  };

  CharSet() = default;
  CharSet(char32_t first, char32_t last) { Add(first, last); }
  static CharSet All() { return CharSet(0, 0x10FFFF); }
  // The characters that `in` holds for. Reads all of Unicode: some milliseconds.
  static CharSet Where(const std::function<bool(char32_t)>& in);

  void Add(char32_t first, char32_t last);
  void Add(const CharSet& other);
  // The same for a character above all that are there; surrogates are ignored.
  void Append(char32_t c);
  CharSet Complement() const;
  CharSet And(const CharSet& other) const;
  CharSet Minus(const CharSet& other) const { return And(other.Complement()); }

  bool Contains(char32_t c) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }
  auto operator<=>(const CharSet&) const = default;  // NOLINT(modernize-use-nullptr): its 0

 private:
  std::vector<Range> ranges_;  // disjoint, ascending, not adjacent
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_CHAR_SET_H_
