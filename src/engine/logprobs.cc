#include "engine/logprobs.h"

#include <algorithm>
#include <utility>

#include "kernels/rows.h"

namespace linnet {

TokenInfo InfoOf(int32_t id, std::span<const float> logits, size_t count) {
  const double all = LogSumExpRow(logits.data(), logits.size());
  const auto of = [&](size_t i) {
    return static_cast<float>(static_cast<double>(logits[i]) - all);
  };
  TokenInfo info{id, of(static_cast<size_t>(id)), {}};
  count = std::min(count, logits.size());
  if (count == 0) return info;
  // The likeliest so far, in descending order. Few tokens of a row enter it.
  std::vector<std::pair<int32_t, float>>& top = info.top;
  top.reserve(count + 1);
  for (size_t i = 0; i < logits.size(); ++i) {
    if (top.size() == count && logits[i] <= top.back().second) continue;
    const auto place = std::upper_bound(top.begin(), top.end(), logits[i],
                                        [](float x, const auto& y) { return x > y.second; });
    top.insert(place, {static_cast<int32_t>(i), logits[i]});
    if (top.size() > count) top.pop_back();
  }
  for (auto& [token, value] : top) value = of(static_cast<size_t>(token));
  return info;
}

}  // namespace linnet
