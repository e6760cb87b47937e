#include "engine/state_cache_tree.h"

#include <algorithm>

#include "base/check.h"

namespace linnet {

namespace {

// A node of std::map and the allocators' own data, about.
constexpr size_t kMapNode = 64;
constexpr size_t kNodeBytes = sizeof(TreeNode) + kMapNode + 32;
// With places in two orders and the order of use.
constexpr size_t kEntryBytes = sizeof(CacheEntry) + 3 * kMapNode + 32;

size_t BytesOf(const TreeNode& node) { return kNodeBytes + node.label.size() * sizeof(int32_t); }

// The number of tokens that both begin with.
size_t SharedTokens(std::span<const int32_t> a, std::span<const int32_t> b) {
  const size_t n = std::min(a.size(), b.size());
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + n, b.begin()).first - a.begin());
}

size_t EntryAbove(const TreeNode& node) {
  for (const TreeNode* up = node.parent; up != nullptr; up = up->parent) {
    if (up->entry != nullptr) return up->depth;
  }
  return 0;
}

}  // namespace

StateTree::~StateTree() {
  for (auto& [owner, root] : roots_) Destroy(std::move(root));
}

// Without recursion: a text of many entries is a deep tree.
void StateTree::Destroy(std::unique_ptr<TreeNode> root) {
  std::vector<std::unique_ptr<TreeNode>> rest;
  rest.push_back(std::move(root));
  while (!rest.empty()) {
    const std::unique_ptr<TreeNode> node = std::move(rest.back());
    rest.pop_back();
    for (auto& [token, child] : node->children) rest.push_back(std::move(child));
  }
}

std::vector<CacheEntry*> StateTree::Path(const Digest& owner,
                                         std::span<const int32_t> tokens) const {
  std::vector<CacheEntry*> path;
  const auto root = roots_.find(owner);
  const TreeNode* node = root == roots_.end() ? nullptr : root->second.get();
  while (node != nullptr) {
    if (node->entry != nullptr) path.push_back(node->entry.get());
    if (node->depth == tokens.size()) break;
    const auto rest = tokens.subspan(node->depth);
    const auto child = node->children.find(rest.front());
    if (child == node->children.end()) break;
    node = child->second.get();
    if (SharedTokens(node->label, rest) < node->label.size()) break;
  }
  return path;
}

StateTree::Shared StateTree::LongestShared(const Digest& owner, std::span<const int32_t> tokens,
                                           size_t most) const {
  Shared shared;
  const auto root = roots_.find(owner);
  const TreeNode* node = root == roots_.end() ? nullptr : root->second.get();
  if (node == nullptr) return shared;
  shared.any = true;
  while (true) {
    const auto rest = tokens.subspan(node->depth);
    const auto child = rest.empty() ? node->children.end() : node->children.find(rest.front());
    if (child == node->children.end()) {
      shared.tokens = node->depth;
      for (const auto& [token, below] : node->children) {
        if (shared.next.size() < most) shared.next.push_back(token);
      }
      return shared;
    }
    const TreeNode& below = *child->second;
    const size_t same = SharedTokens(below.label, rest);
    if (same < below.label.size()) {
      shared.tokens = node->depth + same;
      shared.next.push_back(below.label[same]);
      return shared;
    }
    node = &below;
  }
}

CacheEntry* StateTree::Find(const Digest& owner, std::span<const int32_t> tokens) const {
  const auto path = Path(owner, tokens);
  return !path.empty() && path.back()->tokens == tokens.size() ? path.back() : nullptr;
}

TreeNode* StateTree::NewNode(TreeNode* parent, std::span<const int32_t> label) {
  auto node = std::make_unique<TreeNode>();
  node->parent = parent;
  node->depth = parent->depth + label.size();
  node->label.assign(label.begin(), label.end());
  TreeNode* const result = node.get();
  parent->children.emplace(label.front(), std::move(node));
  bytes_ += BytesOf(*result);
  return result;
}

// Puts a node after the first `at` tokens of the label.
TreeNode* StateTree::Split(TreeNode* node, size_t at) {
  TreeNode* const parent = node->parent;
  auto upper = std::make_unique<TreeNode>();
  upper->parent = parent;
  upper->depth = parent->depth + at;
  upper->label.assign(node->label.begin(), node->label.begin() + static_cast<ptrdiff_t>(at));
  std::vector<int32_t> lower(node->label.begin() + static_cast<ptrdiff_t>(at), node->label.end());
  const auto place = upper->children.emplace(lower.front(), nullptr).first;
  std::unique_ptr<TreeNode>& slot = parent->children.find(node->label.front())->second;
  place->second = std::move(slot);
  slot = std::move(upper);
  node->parent = slot.get();
  node->label = std::move(lower);
  bytes_ += kNodeBytes;
  return slot.get();
}

CacheEntry* StateTree::Add(const Digest& owner, std::span<const int32_t> tokens, uint64_t serial) {
  LINNET_CHECK(!tokens.empty());
  auto entry = std::make_unique<CacheEntry>();
  const auto [root, is_new] = roots_.try_emplace(owner);
  if (is_new) {
    try {
      root->second = std::make_unique<TreeNode>();
    } catch (...) {
      roots_.erase(root);
      throw;
    }
    root->second->owner = &root->first;
    bytes_ += kNodeBytes;
  }
  TreeNode* node = root->second.get();
  try {
    while (node->depth < tokens.size()) {
      const auto rest = tokens.subspan(node->depth);
      const auto child = node->children.find(rest.front());
      if (child == node->children.end()) {
        node = NewNode(node, rest);
        break;
      }
      TreeNode* const below = child->second.get();
      const size_t shared = SharedTokens(below->label, rest);
      node = shared == below->label.size() ? below : Split(below, shared);
    }
  } catch (...) {
    Prune(node);
    throw;
  }
  LINNET_CHECK(node->entry == nullptr);
  entry->serial = serial;
  entry->node = node;
  entry->tokens = tokens.size();
  entry->work = tokens.size() - EntryAbove(*node);
  node->entry = std::move(entry);
  ++entries_;
  bytes_ += kEntryBytes;
  SetWorkBelow(*node, tokens.size());
  return node->entry.get();
}

void StateTree::Remove(CacheEntry* entry) {
  TreeNode* const node = entry->node;
  SetWorkBelow(*node, EntryAbove(*node));
  node->entry.reset();
  --entries_;
  bytes_ -= kEntryBytes;
  Prune(node);
}

// Removes what no entry needs: leaves, and nodes with one child.
void StateTree::Prune(TreeNode* node) {
  while (node->entry == nullptr && node->children.empty()) {
    bytes_ -= BytesOf(*node);
    TreeNode* const parent = node->parent;
    if (parent == nullptr) {
      const Digest owner = *node->owner;
      roots_.erase(owner);
      return;
    }
    const int32_t first = node->label.front();
    parent->children.erase(first);
    node = parent;
  }
  if (node->parent == nullptr || node->entry != nullptr || node->children.size() != 1) return;
  std::unique_ptr<TreeNode> child = std::move(node->children.begin()->second);
  node->label.reserve(node->label.size() + child->label.size());
  node->label.insert(node->label.end(), child->label.begin(), child->label.end());
  child->label = std::move(node->label);
  child->parent = node->parent;
  bytes_ -= kNodeBytes;
  node->parent->children.find(child->label.front())->second.swap(child);
}

void StateTree::SetWorkBelow(const TreeNode& node, size_t above) {
  std::vector<const TreeNode*> rest{&node};
  while (!rest.empty()) {
    const TreeNode* const at = rest.back();
    rest.pop_back();
    if (at != &node && at->entry != nullptr) {
      at->entry->work = at->depth - above;
      changed_(*at->entry);
      continue;
    }
    for (const auto& [token, child] : at->children) rest.push_back(child.get());
  }
}

std::vector<int32_t> StateTree::TokensOf(const CacheEntry& entry) const {
  std::vector<int32_t> tokens(entry.tokens);
  for (const TreeNode* node = entry.node; node->parent != nullptr; node = node->parent) {
    std::copy(node->label.begin(), node->label.end(),
              tokens.begin() + static_cast<ptrdiff_t>(node->depth - node->label.size()));
  }
  return tokens;
}

const Digest& StateTree::OwnerOf(const CacheEntry& entry) const {
  const TreeNode* node = entry.node;
  while (node->parent != nullptr) node = node->parent;
  return *node->owner;
}

EvictionOrder::Key EvictionOrder::KeyOf(const CacheEntry& entry) const {
  const Rank& rank = entry.*rank_;
  return {rank.last, rank.priority(), entry.serial};
}

template <class F>
void EvictionOrder::Change(CacheEntry& entry, const F& change) {
  Rank& rank = entry.*rank_;
  if (rank.ranked && !rank.pinned) order_.erase(KeyOf(entry));
  change(rank);
  if (rank.ranked && !rank.pinned) order_.emplace(KeyOf(entry), &entry);
}

void EvictionOrder::Use(CacheEntry& entry, double value, bool last) {
  Change(entry, [&](Rank& rank) {
    rank.base = age_;
    rank.value = value;
    rank.ranked = true;
    rank.last = last;
  });
}

void EvictionOrder::Restore(CacheEntry& entry, double base, double value) {
  age_ = std::max(age_, base);  // no entry is younger than the cache
  Change(entry, [&](Rank& rank) { rank = {.base = base, .value = value, .ranked = true}; });
}

void EvictionOrder::SetValue(CacheEntry& entry, double value) {
  Change(entry, [&](Rank& rank) { rank.value = value; });
}

void EvictionOrder::SetLast(CacheEntry& entry, bool last) {
  Change(entry, [&](Rank& rank) { rank.last = last; });
}

void EvictionOrder::SetPinned(CacheEntry& entry, bool pinned) {
  Change(entry, [&](Rank& rank) { rank.pinned = pinned; });
}

void EvictionOrder::Remove(CacheEntry& entry) {
  Change(entry, [](Rank& rank) { rank = {}; });
}

CacheEntry* EvictionOrder::Lowest() const {
  return order_.empty() ? nullptr : order_.begin()->second;
}

void EvictionOrder::Age(const CacheEntry& entry) {
  age_ = std::max(age_, (entry.*rank_).priority());
}

}  // namespace linnet
