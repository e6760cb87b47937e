// Numbers within bounds, as expressions.
#ifndef LINNET_GRAMMAR_JSON_NUMBERS_H_
#define LINNET_GRAMMAR_JSON_NUMBERS_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "grammar/rules.h"

namespace linnet {

// A number by its decimal digits.
struct Decimal {
  bool negative = false;    // never of zero
  std::string whole = "0";  // without leading zeros
  std::string fraction;     // without trailing zeros

  // From a JSON number; nothing if it is too large or small to be written with few digits.
  static std::optional<Decimal> Of(const nlohmann::ordered_json& number);
  bool zero() const { return whole == "0" && fraction.empty(); }
};
// -1, 0 or 1.
int Compare(const Decimal& a, const Decimal& b);

struct NumberBounds {
  struct Bound {
    Decimal at;
    bool excluded = false;
  };
  std::optional<Bound> least, most;

  bool none() const { return !least && !most; }
  // Keeps the stricter one.
  void AtLeast(Bound bound);
  void AtMost(Bound bound);
  // Whether no number is within.
  bool empty() const;
};

// Integers, or all numbers, without an exponent. Between bounds a double represents each of them
// exactly enough that it is within them too; where there is no bound they have at most 18 digits,
// or 15 with those of the fraction. Throws Error kBadInput if a bound has more digits than that.
Rules::Id AddIntegers(const NumberBounds& bounds, Rules& rules);
Rules::Id AddNumbers(const NumberBounds& bounds, Rules& rules);

}  // namespace linnet

#endif  // LINNET_GRAMMAR_JSON_NUMBERS_H_
