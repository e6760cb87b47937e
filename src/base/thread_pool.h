// ThreadPool: a few threads that wait for the next loop, spinning briefly before they sleep.
#ifndef LINNET_BASE_THREAD_POOL_H_
#define LINNET_BASE_THREAD_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace linnet {

// The cores this process may use: its affinity mask, and the cgroup's CPU quota if lower.
size_t AvailableCores();

// One caller at a time: a pool belongs to one Workspace.
class ThreadPool {
 public:
  explicit ThreadPool(size_t threads);  // at least 1; the caller is one of them
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t threads() const { return workers_.size() + 1; }

  // Calls body(task) for every task below `tasks`, in any order and on any
  // thread, and returns when all are done. `body` must not throw. Results must
  // not depend on which thread ran what: that is the law of bits' share here.
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
    const size_t parts = grains < threads() ? grains : threads();
    For(parts, [&](size_t part) {
      const size_t begin = grains * part / parts * grain;
      const size_t end = part + 1 == parts ? count : grains * (part + 1) / parts * grain;
      body(begin, end);
    });
  }

 private:
  using Body = void (*)(const void*, size_t);
  void Run(size_t tasks, Body body, const void* f);
  void Work();
  void Drain(uint64_t epoch);

  std::vector<std::thread> workers_;
  Body body_ = nullptr;
  const void* f_ = nullptr;
  size_t tasks_ = 0;
  // The loop's number in the high half, the tasks not taken yet in the low one.
  // One word says both, so a thread that comes late for an old loop can neither
  // take a task of a new one nor see more tasks in its own.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<size_t> done_{0};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace linnet

#endif  // LINNET_BASE_THREAD_POOL_H_
