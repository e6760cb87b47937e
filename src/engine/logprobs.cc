#include "engine/logprobs.h"

#include <algorithm>
#include <utility>

#include "kernels/rows.h"

namespace linnet {
namespace {

using Ranked = std::vector<std::pair<int32_t, float>>;

// The `count` largest logits, in descending order. Few tokens of a row enter it.
Ranked LargestOf(std::span<const float> logits, size_t count) {
  Ranked top;
  if (count == 0) return top;
  top.reserve(count + 1);
  for (size_t i = 0; i < logits.size(); ++i) {
    if (top.size() == count && logits[i] <= top.back().second) continue;
    const auto place = std::upper_bound(top.begin(), top.end(), logits[i],
                                        [](float x, const auto& y) { return x > y.second; });
    top.insert(place, {static_cast<int32_t>(i), logits[i]});
    if (top.size() > count) top.pop_back();
  }
  return top;
}

}  // namespace

std::vector<TokenInfo> InfosOf(std::span<const int32_t> ids, std::span<const float> logits,
                               size_t count) {
  const double all = LogSumExpRow(logits.data(), logits.size());
  const auto logprob = [all](float logit) {
    return static_cast<float>(static_cast<double>(logit) - all);
  };
  Ranked top = LargestOf(logits, std::min(count, logits.size()));
  for (auto& [token, value] : top) value = logprob(value);
  std::vector<TokenInfo> infos;
  infos.reserve(ids.size());
  for (const int32_t id : ids) {
    infos.push_back({id, logprob(logits[static_cast<size_t>(id)]), top});
  }
  return infos;
}

TokenInfo InfoOf(int32_t id, std::span<const float> logits, size_t count) {
  return std::move(InfosOf(std::span(&id, 1), logits, count).front());
}

}  // namespace linnet
