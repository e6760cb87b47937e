#include "engine/state_cache.h"

#include <algorithm>
#include <new>
#include <utility>

#include "engine/state_cache_impl.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Uses since the last write of the index are lost if the process is killed.
constexpr auto kUsesDelay = std::chrono::seconds(10);
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

StateCache::Impl::Impl(const StateShape& shape, const std::string& identity,
                       const CacheOptions& options)
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

StateCache::Impl::~Impl() {
  if (store_ == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  thread_.join();
}

int64_t StateCache::Impl::Now() const {
  return std::chrono::duration_cast<std::chrono::seconds>(clock_().time_since_epoch()).count();
}

bool StateCache::Impl::Belongs(const State& state) const {
  return state.shape().generation == shape_.generation &&
         state.values().size() == shape_.floats() &&
         (shape_.identity.empty() || state.identity() == shape_.identity);
}

CacheEntry* StateCache::Impl::Longest(const Digest& owner, std::span<const int32_t> prefix,
                                      bool on_disk) const {
  const auto path = levels_.tree().Path(owner, prefix);
  for (auto it = path.rbegin(); it != path.rend(); ++it) {
    if ((*it)->state != nullptr || (on_disk && (*it)->file != 0)) return *it;
  }
  return nullptr;
}

void StateCache::Impl::Use(CacheEntry* entry) {
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

void StateCache::Impl::WakeIfNeeded() {
  if (store_ != nullptr && HasFiles()) work_.notify_all();
}

std::optional<CacheHit> StateCache::Impl::Find(std::string_view owner,
                                               std::span<const int32_t> tokens, bool on_disk) {
  if (tokens.empty()) return std::nullopt;
  const Digest key = Sha256Of(owner);
  const auto prefix = tokens.first(tokens.size() - 1);
  Lock lock(mutex_);
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

bool StateCache::Impl::Fetch(std::string_view owner, std::span<const int32_t> tokens,
                             std::function<void()> done) {
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

void StateCache::Impl::Keep(std::string_view owner, std::span<const int32_t> tokens,
                            const State& after) {
  if (tokens.empty() || !Belongs(after) || !levels_.Fits(after, tokens.size())) return;
  const Digest key = Sha256Of(owner);
  Lock lock(mutex_);
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

CacheExplanation StateCache::Impl::Explain(std::string_view owner,
                                           std::span<const int32_t> tokens) const {
  constexpr size_t kMostNext = 8;
  CacheExplanation explanation;
  const Digest key = Sha256Of(owner);
  const std::lock_guard lock(mutex_);
  const auto prefix = tokens.first(tokens.size() - std::min<size_t>(tokens.size(), 1));
  for (const CacheEntry* entry : levels_.tree().Path(key, prefix)) {
    explanation.kept.push_back({entry->tokens, entry->state != nullptr, entry->file != 0});
  }
  const StateTree::Shared shared = levels_.tree().LongestShared(key, tokens, kMostNext);
  explanation.shared = shared.tokens;
  explanation.next = shared.next;
  explanation.has_texts = shared.any;
  return explanation;
}

CacheStatistics StateCache::Impl::statistics() const {
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

void StateCache::Impl::Flush() {
  Lock lock(mutex_);
  levels_.Expire(Now());
  if (store_ == nullptr) return;
  const uint64_t round = ++flushes_wanted_;
  flush_last_ = levels_.last_serial();
  work_.notify_all();
  flushed_.wait(lock, [&] { return flushes_done_ >= round; });
}

std::shared_ptr<const State> StateCache::Impl::ReadEntry(Lock& lock, const Digest& owner,
                                                         std::span<const int32_t> tokens,
                                                         uint64_t file) {
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

CacheExplanation StateCache::Explain(std::string_view owner,
                                     std::span<const int32_t> tokens) const {
  return impl_->Explain(owner, tokens);
}

CacheStatistics StateCache::statistics() const { return impl_->statistics(); }

void StateCache::Flush() { impl_->Flush(); }

}  // namespace linnet
