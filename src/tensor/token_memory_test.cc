// Memories that share pages behave like separate arrays.
#include "tensor/token_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>

namespace linnet {
namespace {

std::shared_ptr<const RowLayout> ThreeSlots() {
  return std::make_shared<RowLayout>(std::vector<RowSlot>{
      {"k", 32, RowType::kF16}, {"v", 5, RowType::kF32}, {"id", 1, RowType::kI32}});
}

// A memory, and what it must contain: per slot, the bytes of all rows.
struct Mirror {
  TokenMemory memory;
  std::vector<std::vector<uint8_t>> rows;

  explicit Mirror(const std::shared_ptr<const RowLayout>& layout)
      : memory(layout), rows(layout->slots().size()) {}

  size_t RowBytes(size_t slot) const { return memory.layout()->row_bytes(slot); }

  void Append(size_t count) {
    memory.Append(count);
    for (size_t slot = 0; slot < rows.size(); ++slot) {
      rows[slot].resize(memory.tokens() * RowBytes(slot));
    }
  }
  void Truncate(size_t tokens) {
    memory.Truncate(tokens);
    for (size_t slot = 0; slot < rows.size(); ++slot) {
      rows[slot].resize(memory.tokens() * RowBytes(slot));
    }
  }
  void Write(size_t slot, size_t token, uint8_t value) {
    std::memset(memory.MutableRow(slot, token), value, RowBytes(slot));
    std::memset(rows[slot].data() + token * RowBytes(slot), value, RowBytes(slot));
  }
  // Appends `count` tokens and writes all their rows.
  void Extend(size_t count, uint8_t value) {
    const size_t begin = memory.tokens();
    Append(count);
    for (size_t token = begin; token < memory.tokens(); ++token) {
      for (size_t slot = 0; slot < rows.size(); ++slot) {
        Write(slot, token, static_cast<uint8_t>(value + slot + token));
      }
    }
  }
  bool Holds() const {
    for (size_t slot = 0; slot < rows.size(); ++slot) {
      if (rows[slot].size() != memory.tokens() * RowBytes(slot)) return false;
      for (size_t token = 0; token < memory.tokens(); ++token) {
        const uint8_t* expected = rows[slot].data() + token * RowBytes(slot);
        if (std::memcmp(memory.Row(slot, token), expected, RowBytes(slot)) != 0) return false;
      }
    }
    return true;
  }
};

TEST(RowLayout, StartsSlotsAndWideRowsAtCacheLines) {
  const auto layout = ThreeSlots();
  EXPECT_EQ(layout->token_bytes(), 64u + 20u + 4u);
  EXPECT_EQ(layout->offset(0), 0u);
  EXPECT_EQ(layout->offset(1), 64u * 64u);
  EXPECT_EQ(layout->offset(2), 64u * 84u);
  EXPECT_EQ(layout->page_bytes(), 64u * 88u);
  TokenMemory memory(layout);
  memory.Append(70);
  for (size_t token = 0; token < 70; ++token) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.Row(0, token)) % 64, 0u);
  }
}

TEST(TokenMemory, CopiesShareAllPagesUntilOneGrows) {
  Mirror a(ThreeSlots());
  a.Extend(200, 1);
  Mirror b = a;
  EXPECT_EQ(a.memory.pages(), 4u);
  EXPECT_EQ(SharedPages(a.memory, b.memory), 4u);
  b.Extend(1, 50);
  EXPECT_EQ(SharedPages(a.memory, b.memory), 3u);
  a.Extend(100, 90);
  EXPECT_EQ(SharedPages(a.memory, b.memory), 3u);
  EXPECT_TRUE(a.Holds());
  EXPECT_TRUE(b.Holds());
  EXPECT_EQ(a.memory.bytes(), 5 * a.memory.layout()->page_bytes());
}

TEST(TokenMemory, FullPagesStaySharedWhenBothGrow) {
  Mirror a(ThreeSlots());
  a.Extend(128, 1);
  Mirror b = a;
  a.Extend(3, 7);
  b.Extend(3, 9);
  EXPECT_EQ(SharedPages(a.memory, b.memory), 2u);
  EXPECT_TRUE(a.Holds());
  EXPECT_TRUE(b.Holds());
}

TEST(TokenMemory, OneThatIsCutAndGrowsAgainLeavesTheOther) {
  for (const size_t cut : {size_t{0}, size_t{64}, size_t{65}, size_t{100}, size_t{130}}) {
    Mirror a(ThreeSlots());
    a.Extend(130, 1);
    Mirror b = a;
    a.Truncate(cut);
    EXPECT_EQ(a.memory.tokens(), cut);
    EXPECT_EQ(a.memory.pages(), (cut + 63) / 64);
    EXPECT_TRUE(b.Holds());
    a.Append(90);  // rows that were cut read as 0
    EXPECT_TRUE(a.Holds()) << cut;
    a.Extend(5, 77);
    EXPECT_TRUE(a.Holds());
    EXPECT_TRUE(b.Holds());
    EXPECT_EQ(SharedPages(a.memory, b.memory), cut / 64);
  }
}

TEST(TokenMemory, MovesTakeThePages) {
  Mirror a(ThreeSlots());
  a.Extend(70, 3);
  const std::byte* row = a.memory.Row(0, 0);
  TokenMemory taken = std::move(a.memory);
  EXPECT_EQ(taken.Row(0, 0), row);
  a.memory = std::move(taken);
  a.Write(1, 69, 5);  // still its own
  EXPECT_TRUE(a.Holds());
}

TEST(TokenMemory, WithoutSlotsItCountsTokens) {
  TokenMemory memory;
  memory.Append(1000);
  memory.Truncate(70);
  TokenMemory copy = memory;
  copy.Append(5);
  EXPECT_EQ(memory.tokens(), 70u);
  EXPECT_EQ(copy.tokens(), 75u);
  EXPECT_EQ(copy.bytes(), 0u);
}

TEST(TokenMemory, RandomOperationsGiveTheSameRowsAsSeparateArrays) {
  std::mt19937 random(5);
  const auto layout = ThreeSlots();
  std::vector<Mirror> mirrors(4, Mirror(layout));
  for (int step = 0; step < 3000; ++step) {
    Mirror& m = mirrors[random() % mirrors.size()];
    switch (random() % 5) {
      case 0:
        m.Append(random() % 20);
        break;
      case 1:
        m.Extend(random() % 90, static_cast<uint8_t>(random()));
        break;
      case 2:
        m.Truncate(random() % (m.memory.tokens() + 1));
        break;
      case 3:
        m = Mirror(mirrors[random() % mirrors.size()]);
        break;
      default:
        if (m.memory.tokens() > 600) m.Truncate(random() % 64);
        break;
    }
    if (step % 10 != 0) continue;
    for (const Mirror& each : mirrors) ASSERT_TRUE(each.Holds()) << step;
  }
}

TEST(TokenMemory, ThreadsCopyAndExtendOneMemory) {
  Mirror source(ThreeSlots());
  source.Extend(100, 1);
  const Mirror& shared = source;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&shared, i] {
      for (int round = 0; round < 20; ++round) {
        Mirror own = shared;
        own.Extend(70, static_cast<uint8_t>(i));
        EXPECT_TRUE(own.Holds());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(source.Holds());
}

}  // namespace
}  // namespace linnet
