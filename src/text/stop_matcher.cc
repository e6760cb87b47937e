#include <algorithm>

#include "linnet/sampler.h"

namespace linnet {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (std::string& text : stops) {
    if (text.empty()) continue;
    // fallback[n]: length of the longest proper prefix of the first n bytes that is also their
    // suffix.
    std::vector<size_t> fallback(text.size() + 1, 0);
    for (size_t n = 1, length = 0; n < text.size(); ++n) {
      while (length > 0 && text[n] != text[length]) length = fallback[length];
      if (text[n] == text[length]) ++length;
      fallback[n + 1] = length;
    }
    stops_.push_back({std::move(text), std::move(fallback)});
  }
}

std::string StopMatcher::Push(std::string_view text) {
  std::string out;
  if (stopped_) return out;
  for (const char c : text) {
    held_ += c;
    size_t hold = 0, complete = 0;
    const Stop* longest = nullptr;
    for (Stop& stop : stops_) {
      while (stop.matched > 0 && stop.text[stop.matched] != c) {
        stop.matched = stop.fallback[stop.matched];
      }
      if (stop.text[stop.matched] == c) ++stop.matched;
      hold = std::max(hold, stop.matched);
      if (stop.matched == stop.text.size() && stop.matched > complete) {
        complete = stop.matched;
        longest = &stop;
      }
    }
    if (complete > 0) {
      out.append(held_, 0, held_.size() - complete);
      held_.clear();
      stop_ = longest->text;
      stopped_ = true;
      return out;
    }
    if (held_.size() > hold) {
      out.append(held_, 0, held_.size() - hold);
      held_.erase(0, held_.size() - hold);
    }
  }
  return out;
}

std::string StopMatcher::Finish() {
  std::string out = std::move(held_);
  held_.clear();
  for (Stop& stop : stops_) stop.matched = 0;
  return out;
}

}  // namespace linnet
