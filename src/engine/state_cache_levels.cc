#include "engine/state_cache_levels.h"

#include <algorithm>

#include "tensor/token_memory.h"

namespace linnet {
namespace {

constexpr size_t kStateBytes = 512;  // of a State without its values and pages, about

// Calls body(page, its bytes) for each page of rows.
template <class F>
void ForPages(const State& state, const F& body) {
  if (state.past() == nullptr) return;
  for (const TokenMemory* memory : {&state.past()->kept, &state.past()->finished}) {
    for (size_t i = 0; i < memory->pages(); ++i) {
      body(memory->page(i), memory->layout()->page_bytes());
    }
  }
}

size_t FixedBytes(const State& state) { return kStateBytes + state.values().size_bytes(); }

}  // namespace

void StateMemory::Add(const State& state) {
  bytes_ += FixedBytes(state);
  ForPages(state, [&](const void* page, size_t bytes) {
    if (++pages_[page] == 1) bytes_ += bytes;
  });
}

void StateMemory::Remove(const State& state) {
  bytes_ -= FixedBytes(state);
  ForPages(state, [&](const void* page, size_t bytes) {
    const auto it = pages_.find(page);
    if (--it->second != 0) return;
    pages_.erase(it);
    bytes_ -= bytes;
  });
}

CacheLevels::CacheLevels(const StateShape& shape, const LevelBudgets& budgets)
    : budgets_(budgets),
      state_bytes_(kStateBytes + shape.floats() * sizeof(float)),
      token_bytes_(shape.token_bytes()),
      tree_([this](CacheEntry& entry) {
        memory_order_.SetValue(entry, MemoryValue(entry));
        disk_order_.SetValue(entry, DiskValue(entry));
      }) {}

double CacheLevels::MemoryValue(const CacheEntry& entry) const {
  return static_cast<double>(entry.work) /
         static_cast<double>(state_bytes_ + entry.work * token_bytes_);
}

double CacheLevels::DiskValue(const CacheEntry& entry) const {
  return static_cast<double>(entry.work) / static_cast<double>(entry.file_bytes + 1);
}

bool CacheLevels::Fits(const State& state, size_t tokens) const {
  return kStateBytes + state.bytes() + tokens * sizeof(int32_t) <= budgets_.memory_bytes / 2;
}

void CacheLevels::SetUsed(CacheEntry& entry, int64_t now) {
  by_use_.erase({entry.used, entry.serial});
  entry.used = now;
  by_use_.emplace(std::pair(now, entry.serial), &entry);
}

CacheEntry* CacheLevels::Add(const Digest& owner, std::span<const int32_t> tokens,
                             std::shared_ptr<const State> state, int64_t now, bool waits) {
  const uint64_t serial = ++serial_;
  CacheEntry* const entry = tree_.Add(owner, tokens, serial);
  SetUsed(*entry, now);
  if (waits && budgets_.disk_bytes > 0) {
    entry->waits = true;
    waiting_.emplace(serial, entry);
  }
  PutInMemory(entry, std::move(state));
  return tree_.Find(owner, tokens);
}

void CacheLevels::PutInMemory(CacheEntry* entry, std::shared_ptr<const State> state) {
  memory_.Add(*state);
  entry->state = std::move(state);
  ++in_memory_;
  memory_order_.Use(*entry, MemoryValue(*entry), entry->waits);
  KeepBudget();
}

void CacheLevels::Use(CacheEntry* entry, int64_t now) {
  SetUsed(*entry, now);
  if (entry->in_memory.ranked) memory_order_.Use(*entry, MemoryValue(*entry), entry->waits);
  if (entry->on_disk.ranked) disk_order_.Use(*entry, DiskValue(*entry));
}

void CacheLevels::Wait(CacheEntry* entry) {
  const bool only_in_memory = entry->state != nullptr && entry->file == 0;
  if (budgets_.disk_bytes == 0 || !only_in_memory || entry->waits || entry->writing) return;
  entry->waits = true;
  waiting_.emplace(entry->serial, entry);
  memory_order_.SetLast(*entry, true);
}

void CacheLevels::BeginWriting(CacheEntry* entry) {
  waiting_.erase(entry->serial);
  entry->waits = false;
  entry->writing = true;
  memory_order_.SetLast(*entry, false);
  memory_order_.SetPinned(*entry, true);
}

void CacheLevels::EndWriting(CacheEntry* entry, uint64_t file, uint64_t bytes, bool again) {
  entry->writing = false;
  memory_order_.SetPinned(*entry, false);
  if (file != 0) {
    PutOnDisk(*entry, file, bytes);
    disk_order_.Use(*entry, DiskValue(*entry));
  } else if (again) {
    Wait(entry);
  }
  KeepBudget();
}

void CacheLevels::PutOnDisk(CacheEntry& entry, uint64_t file, uint64_t bytes) {
  entry.file = file;
  entry.file_bytes = bytes;
  disk_bytes_ += bytes;
  ++on_disk_;
  by_file_.emplace(file, &entry);
}

void CacheLevels::Trim() {
  MakeRoom(0);
  KeepBudget();
}

CacheEntry* CacheLevels::LowestOnDisk() const {
  CacheEntry* const own = disk_order_.Lowest();
  CacheEntry* const other = other_order_.Lowest();
  if (own == nullptr || other == nullptr) return own == nullptr ? other : own;
  return other->on_disk.priority() <= own->on_disk.priority() ? other : own;
}

bool CacheLevels::MakeRoom(uint64_t bytes) {
  if (bytes > budgets_.disk_bytes) return false;
  while (disk_bytes_ + bytes > budgets_.disk_bytes) {
    CacheEntry* const lowest = LowestOnDisk();
    if (lowest == nullptr) return false;
    EvictFromDisk(lowest);
  }
  return true;
}

void CacheLevels::EvictFromDisk(CacheEntry* entry) {
  disk_order_.Age(*entry);
  other_order_.Age(*entry);
  RemoveFile(*entry);
  if (entry->state == nullptr) ++evictions_;
  RemoveIfNowhere(entry);
}

void CacheLevels::DropFile(CacheEntry* entry) {
  RemoveFile(*entry);
  RemoveIfNowhere(entry);
}

void CacheLevels::RemoveFile(CacheEntry& entry) {
  (entry.node == nullptr ? other_order_ : disk_order_).Remove(entry);
  disk_bytes_ -= entry.file_bytes;
  if (entry.node != nullptr) {
    --on_disk_;
    by_file_.erase(entry.file);
  }
  removals_.push_back(entry.file);
  entry.touched = false;
  entry.file = entry.file_bytes = 0;
}

void CacheLevels::Release(CacheEntry& entry) {
  memory_order_.Remove(entry);
  memory_.Remove(*entry.state);
  entry.state.reset();
  --in_memory_;
}

void CacheLevels::EvictFromMemory(CacheEntry* entry) {
  memory_order_.Age(*entry);
  Release(*entry);
  if (entry->file == 0) ++evictions_;
  RemoveIfNowhere(entry);
}

void CacheLevels::RemoveIfNowhere(CacheEntry* entry) {
  if (entry->state == nullptr && entry->file == 0) Remove(entry);
}

void CacheLevels::Remove(CacheEntry* entry) {
  if (entry->state != nullptr) Release(*entry);
  if (entry->file != 0) RemoveFile(*entry);
  waiting_.erase(entry->serial);
  by_use_.erase({entry->used, entry->serial});
  if (entry->node != nullptr) {
    tree_.Remove(entry);
  } else {
    const auto place = other_places_.find(entry->serial);
    others_.erase(place->second);
    other_places_.erase(place);
  }
}

void CacheLevels::KeepBudget() {
  // Or the texts of what is only on disk would leave no memory for states.
  while (tree_.bytes() > budgets_.memory_bytes / 4 && disk_order_.Lowest() != nullptr) {
    CacheEntry* const lowest = disk_order_.Lowest();
    disk_order_.Age(*lowest);
    ++evictions_;
    Remove(lowest);
  }
  while (memory_bytes() > budgets_.memory_bytes && memory_order_.Lowest() != nullptr) {
    EvictFromMemory(memory_order_.Lowest());
  }
}

void CacheLevels::Restore(const Digest& owner, std::span<const int32_t> tokens, uint64_t file,
                          uint64_t bytes, int64_t used, double base) {
  if (CacheEntry* const old = tree_.Find(owner, tokens)) Remove(old);
  CacheEntry* const entry = tree_.Add(owner, tokens, ++serial_);
  SetUsed(*entry, used);
  PutOnDisk(*entry, file, bytes);
  disk_order_.Restore(*entry, base, DiskValue(*entry));
}

void CacheLevels::RestoreOther(size_t work, uint64_t file, uint64_t bytes, int64_t used,
                               double base) {
  CacheEntry& entry = others_.emplace_back();
  entry.serial = ++serial_;
  other_places_.emplace(entry.serial, std::prev(others_.end()));
  SetUsed(entry, used);
  entry.work = work;
  entry.file = file;
  entry.file_bytes = bytes;
  disk_bytes_ += bytes;
  other_order_.Restore(entry, base, DiskValue(entry));
}

void CacheLevels::Expire(int64_t now) {
  while (next_expiry() <= now) {
    CacheEntry* const entry = by_use_.begin()->second;
    if (entry->writing) {
      SetUsed(*entry, now);  // it expires a little later
      continue;
    }
    ++expired_;
    Remove(entry);
  }
}

int64_t CacheLevels::next_expiry() const {
  if (budgets_.expiry == 0 || by_use_.empty()) return INT64_MAX;
  return by_use_.begin()->first.first + budgets_.expiry;
}

}  // namespace linnet
