#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace linnet {
namespace {

TEST(ThreadPool, RunsEveryTaskOnceOverManyLoops) {
  for (const size_t threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    // Loops follow each other closely, so that threads arrive late for some.
    for (size_t loop = 0; loop < 3000; ++loop) {
      std::vector<std::atomic<int>> counts(loop % 17);
      pool.For(counts.size(), [&](size_t task) { counts[task].fetch_add(1); });
      for (const auto& count : counts) ASSERT_EQ(count.load(), 1);
    }
  }
}

TEST(ThreadPool, RangesCoverAllAndStartOnGrains) {
  ThreadPool pool(3);
  for (const size_t count : {0, 1, 15, 16, 17, 100, 1000}) {
    for (const size_t grain : {1, 16, 64}) {
      std::vector<int> seen(count);
      pool.ForRanges(count, grain, [&](size_t begin, size_t end) {
        EXPECT_EQ(begin % grain, 0u);
        for (size_t i = begin; i < end; ++i) ++seen[i];
      });
      EXPECT_EQ(seen, std::vector<int>(count, 1));
    }
  }
}

TEST(ThreadPool, WakesAfterSleeping) {
  ThreadPool pool(2);
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> sum{0};
    pool.For(10, [&](size_t task) { sum += static_cast<int>(task); });
    EXPECT_EQ(sum.load(), 45);
  }
}

TEST(AvailableCores, IsAtLeastOne) { EXPECT_GE(AvailableCores(), 1u); }

}  // namespace
}  // namespace linnet
