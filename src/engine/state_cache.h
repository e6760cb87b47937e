// StateCache: states of texts that were read before, found again by the text's tokens.
#ifndef LINNET_ENGINE_STATE_CACHE_H_
#define LINNET_ENGINE_STATE_CACHE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/state.h"

namespace linnet {

struct CacheOptions {
  // Of states and of the tree over tokens. One state that is being written or read, and its bytes
  // in the file, come on top.
  size_t memory_bytes = size_t{1} << 30;
  // Where states are kept that do not fit in memory, or outlive the process; empty: memory only. It
  // is created with mode 0700 and belongs to the cache alone.
  std::filesystem::path folder{};
  uint64_t disk_bytes = uint64_t{8} << 30;  // of files and index, all models together
  std::chrono::seconds expiry{std::chrono::hours(24 * 30)};  // since the last use; 0: never
  // Gets one line, without a line feed, when the disk cannot be used, and when it can be again. Any
  // thread, without locks.
  std::function<void(const std::string&)> log{};
  std::function<std::chrono::system_clock::time_point()> clock{};  // empty: the system's
};

struct CacheHit {
  State state;
  size_t tokens = 0;  // the state is that after so many of the tokens
};

// What a cache knows of a text.
struct CacheExplanation {
  // The states of its beginnings, the shortest first. Find returns the last; it looks for at most
  // all tokens but one.
  struct Kept {
    size_t tokens = 0;
    bool in_memory = false, on_disk = false;
  };
  std::vector<Kept> kept{};
  // The number of its tokens that a text has in common with it of which a state is kept, and which
  // tokens follow in such texts. A state inside a text may not be kept.
  size_t shared = 0;
  std::vector<int32_t> next{};
  bool has_texts = false;  // of this owner
};

struct CacheStatistics {
  size_t entries = 0;    // in memory, on disk or both
  size_t in_memory = 0;  // of these
  size_t on_disk = 0;    // of these; entries of other models are in disk_bytes only
  size_t memory_bytes = 0;
  uint64_t disk_bytes = 0;
  bool disk = false;  // the folder is in use and its last write did not fail
  uint64_t queries = 0, hits = 0, tokens_saved = 0;
  uint64_t reads = 0, writes = 0;  // of states, from and to disk
  uint64_t evictions = 0;          // entries dropped from memory and disk to keep the budgets
  uint64_t expired = 0, damaged = 0;
};

// One tree over tokens for each owner, with states at chosen positions, on two levels: memory, and
// files that a thread of the cache writes as soon as it can. An entry leaves a level when its
// budget is exceeded, by recency and work saved per byte, and for no other reason than expiry or
// damage. What one owner keeps is never found by, and never changes what is found by, another, but
// for evictions.
//
// Exact: a hit is the state that was kept for just these tokens, bit for bit, or there is none.
// Files are checked against their digest, their tokens, owner and identity when they are read, and
// dropped if anything differs. If the folder cannot be written, the cache goes on in memory.
//
// All functions are thread-safe. None but Find, Flush and the destructor waits for a disk.
class StateCache {
 public:
  // `shape`: of all states; states with another identity than `shape.identity` are not kept, unless
  // that is empty. `identity`: all that states depend on besides tokens, Model::Identity and, if
  // texts do not start from Model::NewState, the digest of what they start from. Entries of other
  // identities in the folder are not found, and stay there as long as the budget permits.
  // Reads the index of the folder. If another process uses the folder, or the disk fails, the cache
  // is in memory only, and says so to `log`. Throws Error kIo if the folder belongs to another user
  // or others can write to it, kBadInput if `folder` is no folder.
  StateCache(const StateShape& shape, std::string identity, const CacheOptions& options);
  // Writes what is only in memory, as Flush.
  ~StateCache();
  StateCache(const StateCache&) = delete;
  StateCache& operator=(const StateCache&) = delete;

  // The state of the longest kept prefix, at most tokens.size() - 1 long, so that there is a token
  // to run for logits. Reads it from disk, on the caller's thread, if it is only there.
  std::optional<CacheHit> Find(std::string_view owner, std::span<const int32_t> tokens);
  // The longest of those in memory: for the engine's thread.
  std::optional<CacheHit> FindInMemory(std::string_view owner, std::span<const int32_t> tokens);
  // If what Find would return is only on disk, starts to read it into memory, returns true, and
  // calls `done` once on the cache's thread, after which FindInMemory finds it unless it was
  // damaged or has been evicted. Else returns false, and there is nothing to wait for. `done` must
  // not block or throw; it is called before the destructor returns at the latest.
  bool Fetch(std::string_view owner, std::span<const int32_t> tokens, std::function<void()> done);

  // Keeps a clone, which is found by texts that begin with these tokens. If there is an entry for
  // them, it only counts as used. Never throws for want of memory or disk: then nothing is kept.
  // Nor is a state kept that takes more than half of memory_bytes.
  void Keep(std::string_view owner, std::span<const int32_t> tokens, const State& after);

  // Why Find would return what it would return. Counts as no use, and waits for no disk.
  CacheExplanation Explain(std::string_view owner, std::span<const int32_t> tokens) const;

  CacheStatistics statistics() const;

  // Returns when everything that was kept before is on disk, or the disk has failed; drops what has
  // expired. Does nothing without a folder but the latter.
  void Flush();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_STATE_CACHE_H_
