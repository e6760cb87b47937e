// CacheLevels: the entries of a state cache in memory and on disk, within their budgets.
#ifndef LINNET_ENGINE_STATE_CACHE_LEVELS_H_
#define LINNET_ENGINE_STATE_CACHE_LEVELS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/state_cache_tree.h"

namespace linnet {

// The memory of states whose rows per token share pages: each page once.
class StateMemory {
 public:
  void Add(const State& state);
  void Remove(const State& state);
  size_t bytes() const { return bytes_; }

 private:
  std::unordered_map<const void*, size_t> pages_;  // how many states have it
  size_t bytes_ = 0;
};

struct LevelBudgets {
  size_t memory_bytes = 0;
  uint64_t disk_bytes = 0;  // 0: there is no disk
  int64_t expiry = 0;       // seconds since the last use; 0: never
};

// Decides what is kept where; the caller reads and writes the files. Not thread-safe. Any function
// that is not const may evict, and then destroys entries; what it returns is still there.
class CacheLevels {
 public:
  CacheLevels(const StateShape& shape, const LevelBudgets& budgets);

  const StateTree& tree() const { return tree_; }
  size_t memory_bytes() const { return tree_.bytes() + memory_.bytes(); }
  uint64_t disk_bytes() const { return disk_bytes_; }
  size_t in_memory() const { return in_memory_; }
  size_t on_disk() const { return on_disk_; }
  uint64_t evictions() const { return evictions_; }
  uint64_t expired() const { return expired_; }

  // Whether it is worth a clone.
  bool Fits(const State& state, size_t tokens) const;
  // Keeps the state in memory; `waits`: until it has been written, if possible. Null if it was
  // evicted at once.
  CacheEntry* Add(const Digest& owner, std::span<const int32_t> tokens,
                  std::shared_ptr<const State> state, int64_t now, bool waits);
  // Of an entry that is only on disk.
  void PutInMemory(CacheEntry* entry, std::shared_ptr<const State> state);
  void Use(CacheEntry* entry, int64_t now);

  // The entry that waits for being written longest; null if none does.
  CacheEntry* Waiting() const { return waiting_.empty() ? nullptr : waiting_.begin()->second; }
  void Wait(CacheEntry* entry);  // one that is in memory only
  // While it is being written, an entry is not evicted. Waiting entries are, if no other is left.
  void BeginWriting(CacheEntry* entry);
  // file 0: it was not written, and waits again if `again`.
  void EndWriting(CacheEntry* entry, uint64_t file, uint64_t bytes, bool again);
  // Evicts from disk until so much more fits; false if it never will.
  bool MakeRoom(uint64_t bytes);
  // The file is damaged or gone.
  void DropFile(CacheEntry* entry);

  // An entry of the index, of this identity and of another. The first destroys what was restored
  // before of the same tokens.
  void Restore(const Digest& owner, std::span<const int32_t> tokens, uint64_t file, uint64_t bytes,
               int64_t used, double base);
  void RestoreOther(size_t work, uint64_t file, uint64_t bytes, int64_t used, double base);
  void Trim();  // after all are restored

  void Expire(int64_t now);
  // When the next entry expires, in seconds since 1970; INT64_MAX if none does.
  int64_t next_expiry() const;

  // Calls body(entry) for those of the files that are still in use.
  template <class F>
  void ForFiles(std::span<const uint64_t> files, const F& body) {
    for (const uint64_t file : files) {
      const auto it = by_file_.find(file);
      if (it != by_file_.end()) body(*it->second);
    }
  }
  double disk_age() const { return disk_order_.age(); }

  // The files that are not needed any more since the last call.
  std::vector<uint64_t> TakeRemovals() { return std::exchange(removals_, {}); }
  bool has_removals() const { return !removals_.empty(); }

 private:
  double MemoryValue(const CacheEntry& entry) const;
  double DiskValue(const CacheEntry& entry) const;
  void SetUsed(CacheEntry& entry, int64_t now);
  void Release(CacheEntry& entry);  // its state
  void PutOnDisk(CacheEntry& entry, uint64_t file, uint64_t bytes);
  void EvictFromMemory(CacheEntry* entry);
  void EvictFromDisk(CacheEntry* entry);
  void RemoveFile(CacheEntry& entry);
  void RemoveIfNowhere(CacheEntry* entry);
  void Remove(CacheEntry* entry);
  void KeepBudget();
  CacheEntry* LowestOnDisk() const;

  const LevelBudgets budgets_;
  const size_t state_bytes_, token_bytes_;
  StateTree tree_;
  StateMemory memory_;
  EvictionOrder memory_order_{&CacheEntry::in_memory};
  EvictionOrder disk_order_{&CacheEntry::on_disk};
  EvictionOrder other_order_{&CacheEntry::on_disk};  // of other identities
  std::list<CacheEntry> others_;
  std::map<uint64_t, std::list<CacheEntry>::iterator> other_places_;  // by serial
  std::map<std::pair<int64_t, uint64_t>, CacheEntry*> by_use_;
  std::map<uint64_t, CacheEntry*> waiting_;            // by serial
  std::unordered_map<uint64_t, CacheEntry*> by_file_;  // of this identity
  std::vector<uint64_t> removals_;
  uint64_t serial_ = 0, disk_bytes_ = 0, evictions_ = 0, expired_ = 0;
  size_t in_memory_ = 0, on_disk_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_STATE_CACHE_LEVELS_H_
