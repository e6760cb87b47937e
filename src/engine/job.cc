#include "engine/job.h"

#include <algorithm>
#include <numeric>

namespace linnet {
namespace {

// As many rows as are efficient in one pass over the weights come together when continuations are
// short; more would only take more memory.
constexpr size_t kForks = 8;

}  // namespace

size_t PlacesOf(const Job& job) {
  if (job.continuations.empty()) return job.choices;
  return std::min(kForks, job.continuations.size());
}

size_t TokenCountOf(const Job& job) {
  return std::accumulate(
      job.continuations.begin(), job.continuations.end(), job.prompt.size(),
      [](size_t sum, const auto& continuation) { return sum + continuation.size(); });
}

std::string CacheOwner(const Job& job) {
  std::string owner = job.owner;
  if (!job.start_key.empty()) owner += "\nfrom " + job.start_key;
  if (job.adapter != nullptr) owner += "\nwith " + job.adapter->digest();
  return owner;
}

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
