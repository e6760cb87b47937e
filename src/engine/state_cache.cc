#include "engine/state_cache.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace linnet {

// All in memory, nothing is ever dropped.
class StateCache::Impl {
 public:
  std::mutex mutex;
  std::map<std::string, std::map<std::vector<int32_t>, State>, std::less<>> kept;
  CacheStatistics statistics;
};

StateCache::StateCache(const StateShape&, std::string, const CacheOptions&)
    : impl_(std::make_unique<Impl>()) {}
StateCache::~StateCache() = default;

std::optional<CacheHit> StateCache::Find(std::string_view owner, std::span<const int32_t> tokens) {
  return FindInMemory(owner, tokens);
}

std::optional<CacheHit> StateCache::FindInMemory(std::string_view owner,
                                                 std::span<const int32_t> tokens) {
  const std::lock_guard lock(impl_->mutex);
  ++impl_->statistics.queries;
  const auto own = impl_->kept.find(owner);
  if (own == impl_->kept.end()) return {};
  const State* best = nullptr;
  size_t most = 0;
  for (const auto& [key, state] : own->second) {
    if (key.size() <= most || key.size() >= tokens.size()) continue;
    if (!std::equal(key.begin(), key.end(), tokens.begin())) continue;
    best = &state;
    most = key.size();
  }
  if (best == nullptr) return {};
  ++impl_->statistics.hits;
  impl_->statistics.tokens_saved += most;
  return CacheHit{best->Clone(), most};
}

bool StateCache::Fetch(std::string_view, std::span<const int32_t>, std::function<void()>) {
  return false;
}

void StateCache::Keep(std::string_view owner, std::span<const int32_t> tokens, const State& after) {
  const std::lock_guard lock(impl_->mutex);
  impl_->kept[std::string(owner)].insert_or_assign({tokens.begin(), tokens.end()}, after.Clone());
  impl_->statistics.entries = impl_->kept.size();
}

CacheStatistics StateCache::statistics() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->statistics;
}

void StateCache::Flush() {}

}  // namespace linnet
