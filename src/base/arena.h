// Arena: memory for one pass, allocated from blocks and freed all at once.
#ifndef LINNET_BASE_ARENA_H_
#define LINNET_BASE_ARENA_H_

#include <cstddef>
#include <vector>

#include "base/buffer.h"

namespace linnet {

// Not thread-safe. Rewinding keeps the blocks, so a second pass of the same size allocates nothing.
class Arena {
 public:
  struct Mark {
    size_t block = 0, used = 0;
  };

  // `bytes` uninitialized bytes, 64-byte aligned, valid until the arena is
  // rewound past them. Throws std::bad_alloc.
  void* Allocate(size_t bytes);
  template <class T>
  T* New(size_t count) {
    return static_cast<T*>(Allocate(count * sizeof(T)));
  }

  // Frees what is allocated in this scope, also when an exception leaves it.
  class Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
    ~Scope() { arena_.Rewind(mark_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Arena& arena_;
    Mark mark_;
  };

  Mark mark() const { return {current_, used_}; }
  void Rewind(Mark mark) {
    current_ = mark.block;
    used_ = mark.used;
  }
  size_t reserved_bytes() const;
  // The most that was in use at once; reserved() is the size of all blocks.
  size_t most_bytes() const { return most_; }

 private:
  struct Block {
    Buffer memory;
    size_t begin;  // bytes of the blocks before it
  };

  std::vector<Block> blocks_;
  size_t current_ = 0, used_ = 0, most_ = 0;
};

}  // namespace linnet

#endif  // LINNET_BASE_ARENA_H_
