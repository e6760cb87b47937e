#include "grammar/json_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kMostIntegerDigits = 18, kMostDigits = 15, kUsualWhole = 9, kUsualFraction = 6;

Decimal Normal(bool negative, std::string whole, std::string fraction) {
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  if (whole.empty()) whole.assign(1, '0');
  fraction.erase(fraction.find_last_not_of('0') + 1);
  Decimal decimal{negative, std::move(whole), std::move(fraction)};
  decimal.negative = negative && !decimal.zero();
  return decimal;
}

int CompareSizes(const Decimal& a, const Decimal& b) {
  if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size() ? -1 : 1;
  const int sign = std::pair(a.whole, a.fraction) < std::pair(b.whole, b.fraction) ? -1 : 1;
  return a.whole == b.whole && a.fraction == b.fraction ? 0 : sign;
}

// Positive numbers with a fixed number of digits before the point, from `least` to `most`, digit by
// digit. A node is a place, and whether the digits so far equal those of each bound.
class DigitGraph {
 public:
  DigitGraph(const NumberBounds& bounds, size_t whole, size_t fraction, Rules& rules)
      : rules_(rules), bounds_(bounds), whole_(whole), fraction_(fraction) {
    if (bounds.least) low_ = Padded(bounds.least->at);
    if (bounds.most) high_ = Padded(bounds.most->at);
  }

  // Whether some number of this length may be within.
  bool possible() const {
    return (!bounds_.most || bounds_.most->at.whole.size() >= whole_) &&
           (!bounds_.least || bounds_.least->at.whole.size() <= whole_);
  }

  Rules::Id Build() {
    const bool tight_low = bounds_.least && bounds_.least->at.whole.size() == whole_;
    const bool tight_high = bounds_.most && bounds_.most->at.whole.size() == whole_;
    Node({0, tight_low, tight_high});
    while (!open_.empty()) {
      const Place place = open_.back();
      open_.pop_back();
      Expand(place);
    }
    return rules_.Graph(next_, std::move(edges_));
  }

 private:
  using Place = std::tuple<size_t, bool, bool>;  // digits so far; equal to low, to high

  std::string Padded(const Decimal& d) const {
    std::string digits = d.whole + d.fraction;
    return digits.append(
        digits.size() < whole_ + fraction_ ? whole_ + fraction_ - digits.size() : 0, '0');
  }

  uint32_t Node(const Place& place) {
    const auto [at, fresh] = nodes_.emplace(place, next_);
    if (fresh) {
      next_ = next_ == 0 ? 2 : next_ + 1;
      open_.push_back(place);
    }
    return at->second;
  }

  void Expand(const Place& place) {
    const auto [at, low, high] = place;
    const uint32_t from = nodes_.at(place);
    if (at >= whole_ && MayEnd(place) && at != whole_ + kPoint) {
      edges_.push_back({from, rules_.Empty(), 1});
    }
    if (at == whole_ && fraction_ > 0) {
      edges_.push_back({from, rules_.Bytes("."), Node({whole_ + kPoint, low, high})});
      return;
    }
    const size_t digit = at >= whole_ + kPoint ? at - kPoint : at;  // which one is next
    if (digit >= whole_ + fraction_ || (at == whole_ && fraction_ == 0)) return;
    for (char d = digit == 0 && whole_ > 1 ? '1' : '0'; d <= '9'; ++d) {
      if (low && d < low_[digit]) continue;
      if (high && d > high_[digit]) continue;
      const Place to = {at + 1, low && d == low_[digit], high && d == high_[digit]};
      edges_.push_back({from, rules_.Bytes({&d, 1}), Node(to)});
    }
  }

  bool MayEnd(const Place& place) const {
    const auto [at, low, high] = place;
    const size_t digits = at > whole_ ? at - kPoint : at;
    const auto zeros_follow = [digits](const std::string& bound) {
      return bound.find_first_not_of('0', digits) == bound.npos;
    };
    if (low && (!zeros_follow(low_) || bounds_.least->excluded)) return false;
    return !high || !zeros_follow(high_) || !bounds_.most->excluded;
  }

  // Places after the point are counted from here.
  static constexpr size_t kPoint = 100;

  Rules& rules_;
  const NumberBounds& bounds_;
  const size_t whole_, fraction_;
  std::string low_, high_;
  std::map<Place, uint32_t> nodes_;
  std::vector<Place> open_;
  std::vector<Rules::Edge> edges_;
  uint32_t next_ = 0;
};

NumberBounds Negated(const NumberBounds& bounds) {
  const auto negated = [](std::optional<NumberBounds::Bound> bound) {
    if (bound) bound->at.negative = !bound->at.negative && !bound->at.zero();
    return bound;
  };
  return {negated(bounds.most), negated(bounds.least)};
}

// The part that is not negative, or is positive.
Rules::Id AddPositive(NumberBounds bounds, bool zero, size_t whole, size_t fraction, Rules& rules) {
  bounds.AtLeast({Decimal(), !zero});
  if (bounds.empty()) return rules.Nothing();
  std::vector<Rules::Id> parts;
  for (size_t digits = 1; digits <= whole; ++digits) {
    DigitGraph graph(bounds, digits, fraction, rules);
    if (graph.possible()) parts.push_back(graph.Build());
  }
  return rules.Choice(std::move(parts));
}

Rules::Id AddBoth(const NumberBounds& bounds, size_t whole, size_t fraction, Rules& rules) {
  return rules.Choice({AddPositive(bounds, true, whole, fraction, rules),
                       rules.Sequence({rules.Bytes("-"), AddPositive(Negated(bounds), false, whole,
                                                                     fraction, rules)})});
}

size_t LongestWhole(const NumberBounds& bounds) {
  return std::max(bounds.least ? bounds.least->at.whole.size() : 0,
                  bounds.most ? bounds.most->at.whole.size() : 0);
}

[[noreturn]] void RefuseDigits(size_t most) {
  throw Error(ErrorKind::kBadInput,
              fmt::format("a bound has too many digits, expected at most {}", most));
}

}  // namespace

std::optional<Decimal> Decimal::Of(const nlohmann::ordered_json& number) {
  std::string text = number.dump();
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != text.npos) {
    exponent = std::stoi(text.substr(e + 1));
    text.erase(e);
  }
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  const size_t point = std::min(text.find('.'), text.size());
  std::string whole = text.substr(0, point);
  std::string fraction = point < text.size() ? text.substr(point + 1) : "";
  if (std::abs(exponent) > 30) return std::nullopt;
  for (; exponent > 0; --exponent) {
    whole += fraction.empty() ? '0' : fraction.front();
    if (!fraction.empty()) fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    fraction.insert(0, 1, whole.empty() ? '0' : whole.back());
    if (!whole.empty()) whole.pop_back();
  }
  return Normal(negative, std::move(whole), std::move(fraction));
}

int Compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  return a.negative ? CompareSizes(b, a) : CompareSizes(a, b);
}

void NumberBounds::AtLeast(Bound bound) {
  if (!least) {
    least = std::move(bound);
    return;
  }
  const int sign = Compare(bound.at, least->at);
  if (sign == 0) least->excluded |= bound.excluded;
  if (sign > 0) least = std::move(bound);
}

void NumberBounds::AtMost(Bound bound) {
  if (!most) {
    most = std::move(bound);
    return;
  }
  const int sign = Compare(bound.at, most->at);
  if (sign == 0) most->excluded |= bound.excluded;
  if (sign < 0) most = std::move(bound);
}

bool NumberBounds::empty() const {
  if (!least || !most) return false;
  const int sign = Compare(least->at, most->at);
  return sign > 0 || (sign == 0 && (least->excluded || most->excluded));
}

Rules::Id AddIntegers(const NumberBounds& bounds, Rules& rules) {
  // A fraction of a bound only says on which side of it an integer lies.
  if (LongestWhole(bounds) > kMostIntegerDigits) {
    NumberBounds fewer = bounds;
    const auto drop = [](std::optional<NumberBounds::Bound>& bound, bool harmless) {
      if (!bound || bound->at.whole.size() <= kMostIntegerDigits) return;
      if (!harmless) RefuseDigits(kMostIntegerDigits);
      bound.reset();
    };
    drop(fewer.least, bounds.least && bounds.least->at.negative);
    drop(fewer.most, bounds.most && !bounds.most->at.negative);
    return AddIntegers(fewer, rules);
  }
  return AddBoth(bounds, kMostIntegerDigits, 0, rules);
}

Rules::Id AddNumbers(const NumberBounds& bounds, Rules& rules) {
  NumberBounds fewer = bounds;
  // A bound beyond all numbers that are written bounds nothing.
  const auto drop = [](std::optional<NumberBounds::Bound>& bound, bool harmless) {
    if (bound && harmless && bound->at.whole.size() > kUsualWhole) bound.reset();
  };
  drop(fewer.least, bounds.least && bounds.least->at.negative);
  drop(fewer.most, bounds.most && !bounds.most->at.negative);
  size_t fraction = 0;
  for (const auto& bound : {fewer.least, fewer.most}) {
    if (bound) fraction = std::max(fraction, bound->at.fraction.size());
  }
  const size_t whole = std::max(kUsualWhole, LongestWhole(fewer));
  if (whole + fraction > kMostDigits) RefuseDigits(kMostDigits);
  return AddBoth(fewer, whole, std::max(fraction, std::min(kUsualFraction, kMostDigits - whole)),
                 rules);
}

}  // namespace linnet
