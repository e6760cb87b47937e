#include "engine/state_cache.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "engine/state_cache_levels.h"
#include "engine/state_store.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

// Uses since the last write of the index are lost if the process is killed.
constexpr auto kUsesDelay = std::chrono::seconds(10);
// After a failure, the disk is tried again; the time doubles up to the most.
constexpr auto kFirstRetry = std::chrono::seconds(1), kLongestRetry = std::chrono::seconds(60);
// Texts that wait for being read. Callers have as many requests, so this is for safety.
constexpr size_t kMostFetches = 1024;

std::unique_ptr<StateStore> OpenStore(const CacheOptions& options, const Digest& identity,
                                      const std::function<void(const std::string&)>& log) {
  if (options.folder.empty() || options.disk_bytes == 0) return nullptr;
  try {
    return std::make_unique<StateStore>(options.folder, identity);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBadInput) throw;
    log(std::string(error.what()) + "; states are kept in memory only");
    return nullptr;
  }
}

}  // namespace

// The thread of the disk owns the store; others only read files. `mutex_` guards the rest, and is
// never held while a file is read or written or a state is copied.
class StateCache::Impl {
 public:
  Impl(const StateShape& shape, const std::string& identity, const CacheOptions& options)
      : shape_(shape),
        identity_(Sha256Of(identity)),
        log_(options.log ? options.log : [](const std::string&) {}),
        clock_(options.clock ? options.clock : std::chrono::system_clock::now),
        store_(OpenStore(options, identity_, log_)),
        levels_(shape, {options.memory_bytes, store_ == nullptr ? 0 : options.disk_bytes,
                        options.expiry.count()}) {
    if (store_ == nullptr) return;
    const int64_t now = Now();
    for (const StoredEntry& entry : store_->TakeEntries()) {
      const StoredUse& use = entry.use;
      const int64_t used = std::min(use.used, now);  // a clock that was set back
      if (entry.key.identity == identity_) {
        levels_.Restore(entry.key.owner, entry.key.tokens, use.file, entry.bytes, used, use.base);
      } else {
        levels_.RestoreOther(use.work, use.file, entry.bytes, used, use.base);
      }
    }
    levels_.Trim();
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    if (store_ == nullptr) return;
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_all();
    thread_.join();
  }

  std::optional<CacheHit> Find(std::string_view owner, std::span<const int32_t> tokens,
                               bool on_disk) {
    if (tokens.empty()) return std::nullopt;
    const Digest key = Sha256Of(owner);
    const auto prefix = tokens.first(tokens.size() - 1);
    std::unique_lock lock(mutex_);
    ++counts_.queries;
    levels_.Expire(Now());
    while (true) {
      CacheEntry* const entry = Longest(key, prefix, on_disk);
      if (entry == nullptr) break;
      const size_t length = entry->tokens;
      std::shared_ptr<const State> state = entry->state;
      Use(entry);
      if (state == nullptr) state = ReadEntry(lock, key, prefix.first(length), entry->file);
      if (state == nullptr) continue;
      ++counts_.hits;
      counts_.tokens_saved += length;
      WakeIfNeeded();
      lock.unlock();
      return CacheHit{state->Clone(), length};
    }
    WakeIfNeeded();
    return std::nullopt;
  }

  bool Fetch(std::string_view owner, std::span<const int32_t> tokens, std::function<void()> done) {
    if (tokens.empty() || store_ == nullptr) return false;
    const Digest key = Sha256Of(owner);
    const auto prefix = tokens.first(tokens.size() - 1);
    const std::lock_guard lock(mutex_);
    levels_.Expire(Now());
    const CacheEntry* const entry = Longest(key, prefix, true);
    if (entry == nullptr || entry->state != nullptr || stop_) return false;
    if (fetches_.size() >= kMostFetches) return false;
    fetches_.push_back({key, {prefix.begin(), prefix.end()}, std::move(done)});
    work_.notify_all();
    return true;
  }

  void Keep(std::string_view owner, std::span<const int32_t> tokens, const State& after) {
    if (tokens.empty() || !Belongs(after) || !levels_.Fits(after, tokens.size())) return;
    const Digest key = Sha256Of(owner);
    std::unique_lock lock(mutex_);
    levels_.Expire(Now());
    const auto find = [&] { return levels_.tree().Find(key, tokens); };
    CacheEntry* entry = find();
    if (entry == nullptr || entry->state == nullptr) {
      lock.unlock();
      auto state = std::make_shared<const State>(after.Clone());
      lock.lock();
      entry = find();
      if (entry == nullptr) {
        levels_.Add(key, tokens, std::move(state), Now(), store_ != nullptr);
      } else if (entry->state == nullptr) {
        levels_.PutInMemory(entry, std::move(state));
      }
      entry = find();
    }
    if (entry != nullptr) {
      Use(entry);
      levels_.Wait(entry);
    }
    WakeIfNeeded();
  }

  CacheStatistics statistics() const {
    const std::lock_guard lock(mutex_);
    CacheStatistics s = counts_;
    s.entries = levels_.tree().entries();
    s.in_memory = levels_.in_memory();
    s.on_disk = levels_.on_disk();
    s.memory_bytes = levels_.memory_bytes();
    s.disk_bytes = levels_.disk_bytes();
    s.disk = store_ != nullptr && !failed_;
    s.evictions = levels_.evictions();
    s.expired = levels_.expired();
    return s;
  }

  void Flush() {
    std::unique_lock lock(mutex_);
    levels_.Expire(Now());
    if (store_ == nullptr) return;
    const uint64_t round = ++flushes_wanted_;
    work_.notify_all();
    flushed_.wait(lock, [&] { return flushes_done_ >= round; });
  }

 private:
  struct FetchRequest {
    Digest owner;
    std::vector<int32_t> prefix;
    std::function<void()> done;
  };

  int64_t Now() const {
    return std::chrono::duration_cast<std::chrono::seconds>(clock_().time_since_epoch()).count();
  }

  bool Belongs(const State& state) const {
    return state.shape().generation == shape_.generation &&
           state.values().size() == shape_.floats() &&
           (shape_.identity.empty() || state.identity() == shape_.identity);
  }

  CacheEntry* Longest(const Digest& owner, std::span<const int32_t> prefix, bool on_disk) const {
    const auto path = levels_.tree().Path(owner, prefix);
    for (auto it = path.rbegin(); it != path.rend(); ++it) {
      if ((*it)->state != nullptr || (on_disk && (*it)->file != 0)) return *it;
    }
    return nullptr;
  }

  void Use(CacheEntry* entry) {
    levels_.Use(entry, Now());
    if (entry->file != 0 && !entry->touched) {
      entry->touched = true;
      if (touched_.empty()) {
        uses_due_ = Clock::now() + kUsesDelay;
        work_.notify_all();
      }
      touched_.push_back(entry->file);
    }
  }

  bool HasFiles() const { return levels_.has_removals() || levels_.Waiting() != nullptr; }
  bool HasWork() const { return HasFiles() || !touched_.empty(); }
  void WakeIfNeeded() {
    if (store_ != nullptr && HasFiles()) work_.notify_all();
  }

  // Reads the file of the entry of this text. Null if it was damaged, and then it is dropped.
  std::shared_ptr<const State> ReadEntry(std::unique_lock<std::mutex>& lock, const Digest& owner,
                                         std::span<const int32_t> tokens, uint64_t file) {
    lock.unlock();
    std::shared_ptr<const State> state;
    try {
      const auto bytes = store_->Read(file, MostBlobBytes(shape_, tokens.size()));
      const BlobKey key{identity_, owner, {tokens.begin(), tokens.end()}};
      state = std::make_shared<const State>(DecodeBlob(bytes, key, shape_));
    } catch (const Error&) {
    } catch (const std::bad_alloc&) {
    }
    lock.lock();
    CacheEntry* const entry = levels_.tree().Find(owner, tokens);
    const bool same = entry != nullptr && entry->file == file;
    if (state != nullptr) {
      ++counts_.reads;
      if (same && entry->state == nullptr) levels_.PutInMemory(entry, state);
    } else if (same) {  // else it was evicted meanwhile
      ++counts_.damaged;
      levels_.DropFile(entry);
      if (CacheEntry* const left = levels_.tree().Find(owner, tokens)) levels_.Wait(left);
    }
    return state;
  }

  // --- on the thread of the disk, with the lock, which they give back while they wait ---

  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      const uint64_t flushes = flushes_wanted_;
      const bool all = stop_ || flushes > flushes_done_;
      if (!fetches_.empty()) {
        FetchNext(lock);
      } else if (!Failing(all) && DiskStep(lock, all)) {
        continue;
      } else if (flushes > flushes_done_) {
        flushes_done_ = flushes;
        flushed_.notify_all();
      } else if (stop_) {
        return;
      } else {
        Sleep(lock);
        levels_.Expire(Now());
      }
    }
  }

  // Whether to leave the disk alone for now. Who waits for it gets one attempt.
  bool Failing(bool all) {
    if (!failed_) return false;
    if (all && !tried_for_all_) {
      tried_for_all_ = true;
      return false;
    }
    return Clock::now() < retry_;
  }

  void Sleep(std::unique_lock<std::mutex>& lock) {
    tried_for_all_ = false;
    const bool had_work = HasWork();
    const auto ready = [&] {
      return stop_ || !fetches_.empty() || flushes_wanted_ > flushes_done_ ||
             (HasFiles() && !failed_) ||
             (HasWork() && !had_work);  // then how long to sleep differs
    };
    auto until = Clock::time_point::max();
    if (had_work) until = failed_ ? retry_ : uses_due_;
    const int64_t expiry = levels_.next_expiry();
    if (expiry != INT64_MAX) {
      // At most a day, in case the clock is set.
      const int64_t seconds = std::clamp<int64_t>(expiry - Now(), 1, 24 * 3600);
      until = std::min(until, Clock::now() + std::chrono::seconds(seconds));
    }
    if (until == Clock::time_point::max()) {
      work_.wait(lock, ready);
    } else {
      work_.wait_until(lock, until, ready);
    }
  }

  void FetchNext(std::unique_lock<std::mutex>& lock) {
    const FetchRequest request = std::move(fetches_.front());
    fetches_.pop_front();
    while (!stop_) {
      CacheEntry* const entry = Longest(request.owner, request.prefix, true);
      if (entry == nullptr || entry->state != nullptr) break;
      const size_t length = entry->tokens;
      if (ReadEntry(lock, request.owner, std::span(request.prefix).first(length), entry->file)) {
        break;
      }
    }
    lock.unlock();
    request.done();
    lock.lock();
  }

  // One thing that the disk has to do; false if there is none. `all`: also what could wait.
  bool DiskStep(std::unique_lock<std::mutex>& lock, bool all) {
    if (levels_.Waiting() != nullptr) {
      WriteNext(lock);
    } else if (levels_.has_removals()) {
      const auto files = levels_.TakeRemovals();
      OnDisk(lock, [&] { store_->Remove(files); });
    } else if (!touched_.empty() && (all || Clock::now() >= uses_due_)) {
      WriteUses(lock);
    } else {
      return false;
    }
    return true;
  }

  void WriteNext(std::unique_lock<std::mutex>& lock) {
    CacheEntry* const entry = levels_.Waiting();
    levels_.BeginWriting(entry);
    const std::shared_ptr<const State> state = entry->state;
    StoredEntry stored;
    stored.key = {identity_, levels_.tree().OwnerOf(*entry), levels_.tree().TokensOf(*entry)};
    lock.unlock();
    std::vector<std::byte> blob;
    try {
      blob = EncodeBlob(stored.key, *state);
    } catch (const std::bad_alloc&) {
    }
    lock.lock();
    stored.bytes = StoredBytes(blob.size(), entry->tokens);
    if (blob.empty() || !levels_.MakeRoom(stored.bytes)) {
      levels_.EndWriting(entry, 0, 0, false);
      return;
    }
    const auto files = levels_.TakeRemovals();
    stored.use = {store_->NewFile(), entry->used, levels_.disk_age(), entry->work};
    const bool written = OnDisk(lock, [&] {
      store_->Remove(files);
      store_->Write(stored, blob);
    });
    if (written) {
      ++counts_.writes;
      SetWorking(lock);
    }
    levels_.EndWriting(entry, written ? stored.use.file : 0, stored.bytes, !written);
  }

  void SetWorking(std::unique_lock<std::mutex>& lock) {
    delay_ = kFirstRetry;
    if (!std::exchange(failed_, false)) return;
    lock.unlock();
    log_("states are written to disk again");
    lock.lock();
  }

  void WriteUses(std::unique_lock<std::mutex>& lock) {
    std::vector<StoredUse> uses;
    levels_.ForFiles(std::exchange(touched_, {}), [&](CacheEntry& entry) {
      entry.touched = false;
      uses.push_back({entry.file, entry.used, entry.on_disk.base, entry.work});
    });
    OnDisk(lock, [&] { store_->Update(uses); });
  }

  // Runs body() without the lock. If it throws, the disk is left alone for a while.
  template <class F>
  bool OnDisk(std::unique_lock<std::mutex>& lock, const F& body) {
    const bool was_failed = failed_;  // only this thread writes it
    lock.unlock();
    std::string problem;
    try {
      body();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (!problem.empty() && !was_failed) {
      log_(problem + "; new states stay in memory until the disk works");
    }
    lock.lock();
    if (problem.empty()) return true;
    failed_ = true;
    retry_ = Clock::now() + delay_;
    delay_ = std::min<std::chrono::seconds>(2 * delay_, kLongestRetry);
    return false;
  }

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
  std::vector<uint64_t> touched_;  // files of entries that were used
  Clock::time_point uses_due_, retry_;
  std::chrono::seconds delay_ = kFirstRetry;
  uint64_t flushes_wanted_ = 0, flushes_done_ = 0;
  bool failed_ = false, tried_for_all_ = false, stop_ = false;
  std::thread thread_;
};

StateCache::StateCache(const StateShape& shape, std::string identity, const CacheOptions& options)
    : impl_(std::make_unique<Impl>(shape, identity, options)) {}
StateCache::~StateCache() = default;

std::optional<CacheHit> StateCache::Find(std::string_view owner, std::span<const int32_t> tokens) {
  return impl_->Find(owner, tokens, true);
}

std::optional<CacheHit> StateCache::FindInMemory(std::string_view owner,
                                                 std::span<const int32_t> tokens) {
  return impl_->Find(owner, tokens, false);
}

bool StateCache::Fetch(std::string_view owner, std::span<const int32_t> tokens,
                       std::function<void()> done) {
  return impl_->Fetch(owner, tokens, std::move(done));
}

void StateCache::Keep(std::string_view owner, std::span<const int32_t> tokens, const State& after) {
  try {
    impl_->Keep(owner, tokens, after);
  } catch (const std::bad_alloc&) {
    // The text is read again next time.
  }
}

CacheStatistics StateCache::statistics() const { return impl_->statistics(); }

void StateCache::Flush() { impl_->Flush(); }

}  // namespace linnet
