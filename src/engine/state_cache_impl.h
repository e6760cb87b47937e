// The parts of a state cache: what callers ask (state_cache.cc) and the thread of the disk
// (state_cache_disk.cc).
#ifndef LINNET_ENGINE_STATE_CACHE_IMPL_H_
#define LINNET_ENGINE_STATE_CACHE_IMPL_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/state_cache.h"
#include "engine/state_cache_levels.h"
#include "engine/state_store.h"

namespace linnet {

// The thread of the disk owns the store; others only read files. `mutex_` guards the rest, and is
// never held while a file is read or written or a state is copied.
class StateCache::Impl {
 public:
  Impl(const StateShape& shape, const std::string& identity, const CacheOptions& options);
  ~Impl();

  std::optional<CacheHit> Find(std::string_view owner, std::span<const int32_t> tokens,
                               bool on_disk);
  bool Fetch(std::string_view owner, std::span<const int32_t> tokens, std::function<void()> done);
  void Keep(std::string_view owner, std::span<const int32_t> tokens, const State& after);
  CacheExplanation Explain(std::string_view owner, std::span<const int32_t> tokens) const;
  CacheStatistics statistics() const;
  void Flush();

 private:
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;

  struct FetchRequest {
    Digest owner;
    std::vector<int32_t> prefix;
    std::function<void()> done;
  };

  int64_t Now() const;
  bool Belongs(const State& state) const;
  bool HasFiles() const { return levels_.has_removals() || levels_.Waiting() != nullptr; }
  bool HasWork() const { return HasFiles() || !touched_.empty(); }

  // All below are called with the lock, and those that take it give it back meanwhile.
  CacheEntry* Longest(const Digest& owner, std::span<const int32_t> prefix, bool on_disk) const;
  void Use(CacheEntry* entry);
  void WakeIfNeeded();
  // Reads the file of the entry of this text. Null if it was damaged, and then it is dropped.
  std::shared_ptr<const State> ReadEntry(Lock& lock, const Digest& owner,
                                         std::span<const int32_t> tokens, uint64_t file);

  // On the thread of the disk.
  void Run();
  // Whether to leave the disk alone for now. Who waits for it gets one attempt.
  bool Failing(bool all);
  void Sleep(Lock& lock);
  void FetchNext(Lock& lock);
  // One thing that the disk has to do; false if there is none. `all`: also what could wait. `last`:
  // the serial of the last entry to write.
  bool DiskStep(Lock& lock, bool all, uint64_t last);
  void WriteNext(Lock& lock);
  void WriteUses(Lock& lock);
  // Runs body() without the lock. If it throws, the disk is left alone for a while.
  template <class F>
  bool OnDisk(Lock& lock, const F& body);
  void SetWorking(Lock& lock);

  const StateShape shape_;
  const Digest identity_;
  const std::function<void(const std::string&)> log_;
  const std::function<std::chrono::system_clock::time_point()> clock_;
  const std::unique_ptr<StateStore> store_;  // null: memory only

  mutable std::mutex mutex_;
  std::condition_variable work_, flushed_;
  CacheLevels levels_;
  CacheStatistics counts_;
  std::deque<FetchRequest> fetches_;
  std::vector<uint64_t> touched_;           // files of entries that were used
  Clock::time_point uses_due_{}, retry_{};  // when to write the uses; when to try again
  std::chrono::seconds delay_{1};           // from a failure to the next attempt
  uint64_t flushes_wanted_ = 0, flushes_done_ = 0, flush_last_ = 0;
  bool failed_ = false, tried_for_all_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_STATE_CACHE_IMPL_H_
