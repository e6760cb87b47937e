#include "base/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace linnet {
namespace {

TEST(Arena, PiecesAreAlignedAndApart) {
  Arena arena;
  char* before = nullptr;
  for (size_t bytes = 1; bytes < (size_t{4} << 20); bytes = bytes * 3 + 1) {
    auto* p = arena.New<char>(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
    std::memset(p, 1, bytes);
    if (before != nullptr) {
      EXPECT_EQ(*before, 1);
    }
    before = p;
  }
}

TEST(Arena, ASecondPassOfTheSameSizeReservesNothing) {
  Arena arena;
  const auto pass = [&] {
    const Arena::Mark mark = arena.mark();
    for (int i = 0; i < 50; ++i) arena.Allocate(100000);
    arena.Rewind(mark);
    return arena.reserved_bytes();
  };
  const size_t first = pass();
  EXPECT_GT(first, 50u * 100000);
  EXPECT_EQ(pass(), first);
}

TEST(Arena, KnowsTheMostThatWasTaken) {
  Arena arena;
  EXPECT_EQ(arena.most_bytes(), 0u);
  const Arena::Mark mark = arena.mark();
  for (int i = 0; i < 3; ++i) arena.Allocate(6400);
  arena.Rewind(mark);
  arena.Allocate(64);
  EXPECT_EQ(arena.most_bytes(), 3 * 6400u);
  EXPECT_GE(arena.reserved_bytes(), arena.most_bytes());
}

}  // namespace
}  // namespace linnet
