// StateTree: which texts a state cache has states of, as one tree over tokens for each owner.
#ifndef LINNET_ENGINE_STATE_CACHE_TREE_H_
#define LINNET_ENGINE_STATE_CACHE_TREE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "linnet/state.h"

namespace linnet {

struct TreeNode;

// A place in an EvictionOrder.
struct Rank {
  double base = 0, value = 0;
  bool ranked = false, last = false, pinned = false;
  double priority() const { return base + value; }
};

// One kept text. Which levels it is on: `state` is not null in memory, `file` is not 0 on disk.
struct CacheEntry {
  uint64_t serial = 0;       // counts up; the order of entries with equal priority
  TreeNode* node = nullptr;  // null: of another identity, only counted and evicted
  size_t tokens = 0;         // the length of the text
  size_t work = 0;           // tokens to run without this entry: from the longest kept prefix
  std::shared_ptr<const State> state;
  uint64_t file = 0, file_bytes = 0;
  int64_t used = 0;  // seconds since 1970
  Rank in_memory, on_disk;
  bool waits = false;    // for being written
  bool writing = false;  // now
  bool touched = false;  // `used` or the rank is newer than in the index
};

struct TreeNode {
  TreeNode* parent = nullptr;     // null: the root
  const Digest* owner = nullptr;  // of a root
  size_t depth = 0;               // tokens from the root to the end of the label
  std::vector<int32_t> label;     // from the parent
  std::map<int32_t, std::unique_ptr<TreeNode>> children;  // by the first token of their labels
  std::unique_ptr<CacheEntry> entry;
};

// A radix tree: a node's label is the tokens between its parent and itself. Each node but the root
// has an entry or two children. Not thread-safe.
class StateTree {
 public:
  // `changed` is called for each entry whose `work` changes because another comes or goes.
  explicit StateTree(std::function<void(CacheEntry&)> changed) : changed_(std::move(changed)) {}
  ~StateTree();
  StateTree(const StateTree&) = delete;
  StateTree& operator=(const StateTree&) = delete;

  // All entries whose texts are prefixes of `tokens`, the shortest first.
  std::vector<CacheEntry*> Path(const Digest& owner, std::span<const int32_t> tokens) const;
  // How many of these tokens the kept text with the longest such beginning begins with; `next`: the
  // tokens that follow there in kept texts, at most `most`.
  struct Shared {
    size_t tokens = 0;
    std::vector<int32_t> next{};
    bool any = false;  // the owner has texts
  };
  Shared LongestShared(const Digest& owner, std::span<const int32_t> tokens, size_t most) const;
  // The entry of just these tokens, or null.
  CacheEntry* Find(const Digest& owner, std::span<const int32_t> tokens) const;
  // There must be none for these tokens, of which there must be one at least. Sets node, tokens and
  // work. Throws std::bad_alloc, and then nothing has changed but an entry that is not there.
  CacheEntry* Add(const Digest& owner, std::span<const int32_t> tokens, uint64_t serial);
  // Destroys the entry.
  void Remove(CacheEntry* entry);

  std::vector<int32_t> TokensOf(const CacheEntry& entry) const;
  const Digest& OwnerOf(const CacheEntry& entry) const;

  size_t entries() const { return entries_; }
  size_t bytes() const { return bytes_; }  // of nodes and entries, without states

 private:
  TreeNode* NewNode(TreeNode* parent, std::span<const int32_t> label);
  TreeNode* Split(TreeNode* node, size_t at);
  void Prune(TreeNode* node);
  // Of the entries below `node` without another between, whose longest prefix is now `above` long.
  void SetWorkBelow(const TreeNode& node, size_t above);
  static void Destroy(std::unique_ptr<TreeNode> root);

  const std::function<void(CacheEntry&)> changed_;
  std::map<Digest, std::unique_ptr<TreeNode>> roots_;
  size_t entries_ = 0, bytes_ = 0;
};

// What is evicted next: GreedyDual-Size (Cao and Irani, 1997). The priority of an entry is its
// value, the work that it saves per byte, plus the age of the cache when it was last used; the age
// is the highest priority evicted so far. So what is not used falls behind, the sooner the less it
// saves.
class EvictionOrder {
 public:
  explicit EvictionOrder(Rank CacheEntry::*rank) : rank_(rank) {}

  // Adds an entry that was just used, or ranks it anew. `last`: only if there is none without.
  void Use(CacheEntry& entry, double value, bool last = false);
  // Adds an entry with its age at its last use.
  void Restore(CacheEntry& entry, double base, double value);
  // As it was used before, if it is there.
  void SetValue(CacheEntry& entry, double value);
  void SetLast(CacheEntry& entry, bool last);
  // Pinned entries keep their rank, and are not the lowest.
  void SetPinned(CacheEntry& entry, bool pinned);
  void Remove(CacheEntry& entry);

  CacheEntry* Lowest() const;  // null if empty
  // The lowest was evicted: age and order. Call before Remove.
  void Age(const CacheEntry& entry);
  double age() const { return age_; }

 private:
  using Key = std::tuple<bool, double, uint64_t>;  // last, priority, serial
  Key KeyOf(const CacheEntry& entry) const;
  template <class F>
  void Change(CacheEntry& entry, const F& change);

  Rank CacheEntry::*const rank_;
  std::map<Key, CacheEntry*> order_;
  double age_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_STATE_CACHE_TREE_H_
