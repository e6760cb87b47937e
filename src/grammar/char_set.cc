#include "grammar/char_set.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF, kLastChar = 0x10FFFF;

}  // namespace

CharSet CharSet::Where(const std::function<bool(char32_t)>& in) {
  CharSet set;
  for (char32_t c = 0; c <= kLastChar; ++c) {
    if (in(c)) set.Append(c);
  }
  return set;
}

void CharSet::Append(char32_t c) {
  if (c >= kFirstSurrogate && c <= kLastSurrogate) return;
  if (!ranges_.empty() && ranges_.back().last + 1 == c) {
    ranges_.back().last = c;
  } else {
    ranges_.push_back({c, c});
  }
}

void CharSet::Add(char32_t first, char32_t last) {
  last = std::min(last, kLastChar);
  if (first < kFirstSurrogate && last > kLastSurrogate) {
    Add(first, kFirstSurrogate - 1);
    Add(kLastSurrogate + 1, last);
    return;
  }
  if (first >= kFirstSurrogate && first <= kLastSurrogate) first = kLastSurrogate + 1;
  if (last >= kFirstSurrogate && last <= kLastSurrogate) last = kFirstSurrogate - 1;
  if (first > last) return;
  // The ranges that touch the new one become one with it.
  const auto begin = std::lower_bound(ranges_.begin(), ranges_.end(), first,
                                      [](const Range& r, char32_t c) { return r.last + 1 < c; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= last + 1; ++end) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
  }
  ranges_.insert(ranges_.erase(begin, end), {first, last});
}

void CharSet::Add(const CharSet& other) {
  for (const auto& [first, last] : other.ranges_) Add(first, last);
}

CharSet CharSet::Complement() const {
  CharSet set;
  char32_t next = 0;
  for (const auto& [first, last] : ranges_) {
    if (first > next) set.Add(next, first - 1);
    next = last + 1;
  }
  set.Add(next, kLastChar);
  return set;
}

CharSet CharSet::And(const CharSet& other) const {
  CharSet set;
  for (size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
    const Range a = ranges_[i], b = other.ranges_[j];
    const char32_t first = std::max(a.first, b.first), last = std::min(a.last, b.last);
    if (first <= last) set.Add(first, last);
    a.last < b.last ? ++i : ++j;
  }
  return set;
}

bool CharSet::Contains(char32_t c) const {
  const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), c,
                                   [](const Range& r, char32_t x) { return r.last < x; });
  return at != ranges_.end() && at->first <= c;
}

}  // namespace linnet
