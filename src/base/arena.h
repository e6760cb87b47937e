// Arena: memory for one pass, taken from blocks and given back all at once.
#ifndef LINNET_BASE_ARENA_H_
#define LINNET_BASE_ARENA_H_

#include <cstddef>
#include <vector>

#include "base/buffer.h"

namespace linnet {

// Not thread-safe. Blocks are kept when it is rewound, so a pass of a size seen
// before allocates nothing.
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

  // Gives back what is taken from here to the end of the block, also where an exception ends it.
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
  // The most that was taken at once; reserved is that in whole blocks.
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
