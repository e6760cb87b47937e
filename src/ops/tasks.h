// Tasks of unequal length: each thread has its own scratch and takes the next task when it is free.
#ifndef LINNET_OPS_TASKS_H_
#define LINNET_OPS_TASKS_H_

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "ops/pass.h"

namespace linnet {

// Calls body(task, scratch) for every task below `tasks`. `scratch` is scratch_bytes, 64-byte
// aligned, private to the thread; it keeps what the thread's previous task left.
template <class F>
void ForTasks(const Pass& p, size_t tasks, size_t scratch_bytes, const F& body) {
  const size_t workers = std::min(tasks, p.pool.threads());
  const size_t stride = (scratch_bytes + 63) / 64 * 64;
  const Arena::Scope scope(p.arena);
  auto* scratch = p.arena.New<std::byte>(stride * workers);
  std::atomic<size_t> next{0};
  p.pool.For(workers, [&](size_t worker) {
    for (size_t task = next++; task < tasks; task = next++) body(task, scratch + worker * stride);
  });
}

}  // namespace linnet

#endif  // LINNET_OPS_TASKS_H_
