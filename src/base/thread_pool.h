// ThreadPool: a few threads that wait for the next loop. They spin briefly before they sleep, and
// meanwhile prefetch what the next loop will read.
#ifndef LINNET_BASE_THREAD_POOL_H_
#define LINNET_BASE_THREAD_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace linnet {

// The cores this process may use: its affinity mask, and the cgroup's CPU quota if lower.
size_t AvailableCores();

// One caller at a time: a pool belongs to one Workspace.
class ThreadPool {
 public:
  // The caller is one of the threads; 0: AvailableCores(). Throws Error kNoMemory
  // if the system will not start so many.
  explicit ThreadPool(size_t threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t threads() const { return workers_.size() + 1; }

  // Calls body(task) for every task below `tasks`, in any order and on any thread, and returns when
  // all are done. Task t runs on thread t (the caller is 0) unless another thread is free earlier.
  // After all tasks have ended, throws what one of them threw. Results must not depend on which
  // thread ran which task: bits must be the same for any number of threads.
  template <class F>
  void For(size_t tasks, const F& body) {
    if (tasks <= 1 || workers_.empty()) {
      for (size_t task = 0; task < tasks; ++task) body(task);
      return;
    }
    Run(
        tasks, [](const void* f, size_t task) { (*static_cast<const F*>(f))(task); }, &body);
  }

  // Splits [0, count) into about equal ranges, one per thread, multiples of `grain` but for the
  // last: body(begin, end).
  template <class F>
  void ForRanges(size_t count, size_t grain, const F& body) {
    const size_t grains = (count + grain - 1) / grain;
    const size_t ranges = grains < threads() ? grains : threads();
    For(ranges, [&](size_t range) {
      const size_t begin = grains * range / ranges * grain;
      const size_t end = range + 1 == ranges ? count : grains * (range + 1) / ranges * grain;
      body(begin, end);
    });
  }

  // When thread t is next idle, it prefetches these bytes into its own cache, up to a part of its
  // size, until there is a task. The bytes may be unmapped by then: prefetching does not fault.
  // Replaces the previous hint; costs a few stores.
  void FetchWhenIdle(size_t thread, const std::byte* data, size_t bytes);

 private:
  void Stop();  // waits for all threads that were started

  using Body = void (*)(const void*, size_t);

  // State of one thread.
  struct alignas(64) Seat {
    // The number of a loop, doubled, plus 1 if the thread's own task in it is taken.
    std::atomic<uint64_t> own{0};
    // What to prefetch: the newest hint. A read that is torn between two hints only prefetches the
    // wrong bytes.
    std::atomic<uint32_t> hint{0};
    std::atomic<const std::byte*> ahead{nullptr};
    std::atomic<size_t> ahead_bytes{0};
    // Used by this thread only: the hint it follows, and its position in it.
    uint32_t followed = 0;
    const std::byte* at = nullptr;
    const std::byte* end = nullptr;
  };

  void Run(size_t tasks, Body body, const void* f);
  void Work(size_t thread);
  void Drain(uint64_t epoch, size_t thread);
  bool TakeOwn(uint64_t epoch, size_t thread);
  bool TakeTicket(uint64_t epoch, size_t& task);
  // Prefetches and spins until done() or the time is over; returns done().
  template <class F>
  bool IdleUntil(const F& done, Seat& seat);

  std::vector<std::thread> workers_;
  std::unique_ptr<Seat[]> seats_;
  Body body_ = nullptr;
  const void* f_ = nullptr;
  size_t tasks_ = 0;
  // High half: the loop's number; low half: tasks not taken yet that are no thread's own. Both are
  // in one word, so a thread that arrives late for an old loop can neither take a task of a new
  // loop nor see more tasks in its own.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<size_t> done_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  // of the task that failed first
};

}  // namespace linnet

#endif  // LINNET_BASE_THREAD_POOL_H_
