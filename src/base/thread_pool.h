// ThreadPool: a few threads that wait for the next loop, spinning briefly before they sleep, and
// fetch meanwhile what it will read.
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

  // Calls body(task) for every task below `tasks`, in any order and on any
  // thread, and returns when all are done. Task t is left to thread t, the
  // caller being 0, unless another is free before it comes. Throws what a task
  // threw, one of it, when all are over. Results must not depend on which
  // thread ran what: that is the law of bits' share here.
  template <class F>
  void For(size_t tasks, const F& body) {
    if (tasks <= 1 || workers_.empty()) {
      for (size_t task = 0; task < tasks; ++task) body(task);
      return;
    }
    Run(
        tasks, [](const void* f, size_t task) { (*static_cast<const F*>(f))(task); }, &body);
  }

  // Splits [0, count) into about equal ranges, whole multiples of `grain` but
  // for the last, one a thread: body(begin, end).
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

  // Whenever thread t next has nothing to do, it reads these bytes towards its own cache, no more
  // of them than suit it, until there is a task. They may be gone by then: nothing is touched that
  // is not there. Replaces what was said before; costs some stores.
  void FetchWhenIdle(size_t thread, const std::byte* data, size_t bytes);

 private:
  void Stop();  // waits for all that were started

  using Body = void (*)(const void*, size_t);

  // What concerns one thread.
  struct alignas(64) Seat {
    // The number of a loop, doubled, and 1 if the thread's own task of it is taken.
    std::atomic<uint64_t> own{0};
    // What it may fetch, the newest hint; torn between two of them it is a wrong one, no more.
    std::atomic<uint32_t> hint{0};
    std::atomic<const std::byte*> ahead{nullptr};
    std::atomic<size_t> ahead_bytes{0};
    // The thread's alone: which hint it follows, and how far it is.
    uint32_t followed = 0;
    const std::byte* at = nullptr;
    const std::byte* end = nullptr;
  };

  void Run(size_t tasks, Body body, const void* f);
  void Work(size_t thread);
  void Drain(uint64_t epoch, size_t thread);
  bool TakeOwn(uint64_t epoch, size_t thread);
  bool TakeTicket(uint64_t epoch, size_t& task);
  // Follows the hint and spins until done() or the time is over; says which.
  template <class F>
  bool IdleUntil(const F& done, Seat& seat);

  std::vector<std::thread> workers_;
  std::unique_ptr<Seat[]> seats_;
  Body body_ = nullptr;
  const void* f_ = nullptr;
  size_t tasks_ = 0;
  // The loop's number in the high half, in the low one the tasks not taken yet
  // of those that are no thread's own. One word says both, so a thread that
  // comes late for an old loop can neither take a task of a new one nor see
  // more tasks in its own.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<size_t> done_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  // of the task that failed first
};

}  // namespace linnet

#endif  // LINNET_BASE_THREAD_POOL_H_
