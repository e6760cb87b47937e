#include "engine/job.h"

#include <algorithm>
#include <numeric>

namespace linnet {

std::vector<size_t> BestChoices(std::span<const Ending> choices, size_t count) {
  const auto mean = [&](size_t i) {
    const Ending& end = choices[i];
    return end.tokens == 0 ? 0.0 : end.logprob / static_cast<double>(end.tokens);
  };
  std::vector<size_t> order(choices.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return mean(a) > mean(b); });
  order.resize(std::min(count, order.size()));
  return order;
}

}  // namespace linnet
