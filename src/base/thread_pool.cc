#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <string>

#include "base/check.h"

namespace linnet {
namespace {

// Long enough to bridge the serial stretches of a pass, short enough that an
// idle server costs nothing.
constexpr auto kSpin = std::chrono::microseconds(100);

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until done() or the time is over; says which.
template <class F>
bool SpinUntil(const F& done) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return done();
}

size_t CgroupCores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return SIZE_MAX;
  const double cores = std::atof(quota.c_str()) / period;
  return cores > 0 ? std::max<size_t>(1, static_cast<size_t>(std::ceil(cores))) : SIZE_MAX;
}

}  // namespace

size_t AvailableCores() {
  cpu_set_t set;
  size_t cores = std::max(1u, std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = static_cast<size_t>(CPU_COUNT(&set));
  return std::min(cores, CgroupCores());
}

ThreadPool::ThreadPool(size_t threads) {
  for (size_t i = 1; i < threads; ++i) workers_.emplace_back([this] { Work(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::Run(size_t tasks, Body body, const void* f) {
  LINNET_DCHECK(tasks < (uint64_t{1} << 32));
  body_ = body;
  f_ = f;
  tasks_ = tasks;
  done_.store(0, std::memory_order_relaxed);
  const uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
  ticket_.store(uint64_t{epoch} << 32 | tasks, std::memory_order_release);
  epoch_.store(epoch, std::memory_order_release);
  epoch_.notify_all();
  Drain(epoch);
  const auto done = [&] { return done_.load(std::memory_order_acquire) == tasks; };
  while (!SpinUntil(done)) std::this_thread::yield();
}

void ThreadPool::Drain(uint64_t epoch) {
  while (true) {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    do {
      if (ticket >> 32 != epoch || (ticket & 0xffffffffu) == 0) return;
    } while (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                            std::memory_order_acquire));
    // The loop cannot end before this task, so body_, f_ and tasks_ are still its own.
    body_(f_, tasks_ - static_cast<size_t>(ticket & 0xffffffffu));
    done_.fetch_add(1, std::memory_order_acq_rel);
  }
}

void ThreadPool::Work() {
  uint32_t seen = 0;
  while (true) {
    const auto woken = [&] { return epoch_.load(std::memory_order_acquire) != seen; };
    if (!SpinUntil(woken)) epoch_.wait(seen, std::memory_order_acquire);
    // In this order: an end that comes in between is in the epoch that is waited on next.
    seen = epoch_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_acquire)) return;
    Drain(seen);
  }
}

}  // namespace linnet
