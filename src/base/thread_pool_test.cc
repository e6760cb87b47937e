#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "base/sanitized.h"
#include "linnet/error.h"

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

// A thread may be about to sleep, asleep, spinning or late when its pool is destroyed.
TEST(ThreadPool, EndsAtAnyMoment) {
  for (size_t i = 0; i < 2000; ++i) {
    ThreadPool pool(3);
    std::atomic<size_t> run = 0;
    if (i % 2 == 0) pool.For(7, [&](size_t) { ++run; });
    if (i % 20 == 0) std::this_thread::sleep_for(std::chrono::microseconds(80 + i % 80));
    EXPECT_EQ(run, i % 2 == 0 ? 7u : 0u);
  }
}

// If the system cannot start more threads, those that run end, and the error is one line.
TEST(ThreadPool, ThreadsThatCannotStartAreAnError) {
  if (kSanitized) GTEST_SKIP() << "sanitizers do not live with little memory";
  const auto start = [] {
    const rlimit little{ResidentMemory() + (uint64_t{512} << 20), RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &little) != 0) std::_Exit(2);
    try {
      const ThreadPool pool(10000);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      std::_Exit(error.kind() == ErrorKind::kNoMemory ? 0 : 1);
    }
    std::_Exit(3);
  };
  EXPECT_EXIT(start(), testing::ExitedWithCode(0), "threads of 10000");
}

// A task may run out of memory on any thread: the caller gets the exception, and the pool still
// works.
TEST(ThreadPool, WhatATaskThrowsComesOutOfItsLoop) {
  ThreadPool pool(3);
  for (size_t bad = 0; bad < 20; ++bad) {
    std::atomic<size_t> run = 0;
    const auto loop = [&] {
      pool.For(20, [&](size_t task) {
        ++run;
        if (task >= bad) throw std::bad_alloc();
      });
    };
    EXPECT_THROW(loop(), std::bad_alloc);
    EXPECT_EQ(run, 20u);
    run = 0;
    pool.For(20, [&](size_t) { ++run; });
    EXPECT_EQ(run, 20u);
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
  // A task blocks until all three threads run one, so each thread takes its own.
  for (int loop = 0; loop < 200; ++loop) {
    std::atomic<size_t> begun{0};
    std::vector<std::thread::id> by(7);
    pool.For(7, [&](size_t task) {
      by[task] = std::this_thread::get_id();
      if (task >= 3) return;
      ++begun;
      while (begun < 3) std::this_thread::yield();
    });
    ASSERT_EQ(by[0], here);
    by.resize(3);
    if (loop == 0) first = by;
    ASSERT_EQ(by, first);
  }
}

TEST(ThreadPool, DoesTheTaskOfAThreadThatIsLate) {
  // One core's worth of time for many threads: most arrive after the loop has ended.
  ThreadPool pool(16);
  for (int loop = 0; loop < 2000; ++loop) {
    std::vector<std::atomic<int>> counts(static_cast<size_t>(loop % 40));
    pool.For(counts.size(), [&](size_t task) { counts[task].fetch_add(1); });
    for (const auto& count : counts) ASSERT_EQ(count.load(), 1);
  }
}

// The range to prefetch may be unmapped, or may never have been mapped.
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
