#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
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

TEST(ThreadPool, LeavesATaskToTheThreadWhoseItIs) {
  ThreadPool pool(3);
  std::vector<std::thread::id> first;
  const auto here = std::this_thread::get_id();
  // A task takes until all three are at work, so each thread is in time for its own.
  for (int loop = 0; loop < 200; ++loop) {
    std::atomic<size_t> begun{0};
    std::vector<std::thread::id> by(7);
    pool.For(7, [&](size_t task) {
      by[task] = std::this_thread::get_id();
      if (task >= 3) return;
      ++begun;
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (begun < 3 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    });
    ASSERT_EQ(begun.load(), 3u);
    ASSERT_EQ(by[0], here);
    by.resize(3);
    if (loop == 0) first = by;
    ASSERT_EQ(by, first);
  }
}

TEST(ThreadPool, DoesTheTaskOfAThreadThatIsLate) {
  // One core's worth of time for many threads: most come when all is done.
  ThreadPool pool(16);
  for (int loop = 0; loop < 2000; ++loop) {
    std::vector<std::atomic<int>> counts(static_cast<size_t>(loop % 40));
    pool.For(counts.size(), [&](size_t task) { counts[task].fetch_add(1); });
    for (const auto& count : counts) ASSERT_EQ(count.load(), 1);
  }
}

// What idle threads fetch may be gone, or have never been.
TEST(ThreadPool, FetchesWhatIsNotThereWithoutHarm) {
  ThreadPool pool(2);
  std::vector<std::byte> here(1 << 16);
  std::atomic<int> sum{0};
  const auto at = [](uintptr_t address) { return reinterpret_cast<const std::byte*>(address); };
  using Hint = std::pair<const std::byte*, size_t>;
  const std::vector<Hint> hints = {
      {here.data(), here.size()}, {at(4096), SIZE_MAX / 4}, {at(1), 1}};
  for (const auto& [data, bytes] : hints) {
    for (size_t thread = 0; thread < pool.threads(); ++thread) {
      pool.FetchWhenIdle(thread, data, bytes);
    }
    pool.For(10, [&](size_t) { ++sum; });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  pool.For(10, [&](size_t) { ++sum; });
  EXPECT_EQ(sum.load(), 40);
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
