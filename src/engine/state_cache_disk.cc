#include <algorithm>
#include <new>
#include <utility>

#include "engine/state_cache_impl.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// After a failure, the disk is tried again; the time doubles up to the most.
constexpr auto kFirstRetry = std::chrono::seconds(1), kLongestRetry = std::chrono::seconds(60);

}  // namespace

template <class F>
bool StateCache::Impl::OnDisk(Lock& lock, const F& body) {
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

void StateCache::Impl::Run() {
  Lock lock(mutex_);
  while (true) {
    const uint64_t flushes = flushes_wanted_;
    const bool flush = flushes > flushes_done_;
    const bool all = stop_ || flush;
    // What is kept after the call of Flush waits until that is done, or it might never end.
    const uint64_t last = flush && !stop_ ? flush_last_ : UINT64_MAX;
    if (!fetches_.empty()) {
      FetchNext(lock);
    } else if (!Failing(all) && DiskStep(lock, all, last)) {
      continue;
    } else if (flush) {
      flushes_done_ = flushes;
      tried_for_all_ = false;  // the next Flush has an attempt of its own
      flushed_.notify_all();
    } else if (stop_) {
      return;
    } else {
      Sleep(lock);
      levels_.Expire(Now());
    }
  }
}

bool StateCache::Impl::Failing(bool all) {
  if (!failed_) return false;
  if (all && !tried_for_all_) {
    tried_for_all_ = true;
    return false;
  }
  return Clock::now() < retry_;
}

void StateCache::Impl::Sleep(Lock& lock) {
  tried_for_all_ = false;
  const bool had_work = HasWork();
  const auto ready = [&] {
    return stop_ || !fetches_.empty() || flushes_wanted_ > flushes_done_ ||
           (HasFiles() && !failed_) || (HasWork() && !had_work);  // then how long to sleep differs
  };
  auto until = Clock::time_point::max();
  if (!touched_.empty()) until = uses_due_;
  if (failed_ && had_work) until = HasFiles() ? retry_ : std::max(retry_, uses_due_);
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

void StateCache::Impl::FetchNext(Lock& lock) {
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

bool StateCache::Impl::DiskStep(Lock& lock, bool all, uint64_t last) {
  const CacheEntry* const waiting = levels_.Waiting();
  if (waiting != nullptr && waiting->serial <= last) {
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

void StateCache::Impl::WriteNext(Lock& lock) {
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

void StateCache::Impl::SetWorking(Lock& lock) {
  delay_ = kFirstRetry;
  if (!std::exchange(failed_, false)) return;
  lock.unlock();
  log_("states are written to disk again");
  lock.lock();
}

void StateCache::Impl::WriteUses(Lock& lock) {
  std::vector<StoredUse> uses;
  levels_.ForFiles(std::exchange(touched_, {}), [&](CacheEntry& entry) {
    entry.touched = false;
    uses.push_back({entry.file, entry.used, entry.on_disk.base, entry.work});
  });
  OnDisk(lock, [&] { store_->Update(uses); });
}

}  // namespace linnet
