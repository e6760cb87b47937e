#include "base/thread_pool.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <fstream>
#include <string>
#include <utility>

#include "base/check.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Long enough to span the serial sections of a pass, short enough that an idle server uses no CPU.
constexpr auto kSpin = std::chrono::microseconds(100);

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Half of a core's private cache: the rest is for its current work.
size_t MostAhead() {
  static const size_t bytes = [] {
    const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return std::clamp<size_t>(l2 > 0 ? static_cast<size_t>(l2) / 2 : 0, 128 << 10, 1 << 20);
  }();
  return bytes;
}

// Prefetches the first lines, few enough not to delay a task; returns the rest.
const std::byte* Fetch(const std::byte* at, const std::byte* end) {
  constexpr ptrdiff_t kLine = 64;
  for (int i = 0; i < 16 && at < end; ++i) {
    __builtin_prefetch(at, 0, 2);  // into L2
    at += std::min(kLine, end - at);
  }
  return at;
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
  if (threads == 0) threads = AvailableCores();
  seats_ = std::make_unique<Seat[]>(threads);
  workers_.reserve(threads - 1);
  try {
    for (size_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { Work(i); });
  } catch (const std::exception& error) {  // out of memory, or over the thread limit
    const size_t started = workers_.size() + 1;
    Stop();
    throw Error(ErrorKind::kNoMemory,
                fmt::format("the system starts no more than {} threads of {} ({}); ask for fewer",
                            started, threads, error.what()));
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Stop() {
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
  const size_t own = std::min(tasks, threads());
  for (size_t i = 0; i < own; ++i) {
    seats_[i].own.store(uint64_t{epoch} << 1, std::memory_order_relaxed);
  }
  ticket_.store(uint64_t{epoch} << 32 | (tasks - own), std::memory_order_release);
  epoch_.store(epoch, std::memory_order_release);
  epoch_.notify_all();
  Drain(epoch, 0);
  const auto done = [&] { return done_.load(std::memory_order_acquire) == tasks; };
  while (!IdleUntil(done, seats_[0])) std::this_thread::yield();
  if (failed_.load(std::memory_order_relaxed)) {
    failed_.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

// All tasks of an old loop are taken, else it would not have ended: a late thread gets none.
bool ThreadPool::TakeOwn(uint64_t epoch, size_t thread) {
  std::atomic<uint64_t>& own = seats_[thread].own;
  uint64_t free = epoch << 1;
  return own.load(std::memory_order_relaxed) == free &&
         own.compare_exchange_strong(free, free | 1, std::memory_order_acq_rel,
                                     std::memory_order_relaxed);
}

bool ThreadPool::TakeTicket(uint64_t epoch, size_t& task) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  do {
    if (ticket >> 32 != epoch || (ticket & 0xffffffffu) == 0) return false;
  } while (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
  task = tasks_ - static_cast<size_t>(ticket & 0xffffffffu);
  return true;
}

// A loop cannot end before a task that was taken, so body_, f_ and tasks_ still belong to it.
void ThreadPool::Drain(uint64_t epoch, size_t thread) {
  const auto run = [this](size_t task) {
    try {
      body_(f_, task);
    } catch (...) {
      if (!failed_.exchange(true, std::memory_order_relaxed)) failure_ = std::current_exception();
    }
    done_.fetch_add(1, std::memory_order_acq_rel);
  };
  for (size_t i = 0; i < threads(); ++i) {
    const size_t other = thread + i < threads() ? thread + i : thread + i - threads();
    if (TakeOwn(epoch, other)) run(other);
  }
  for (size_t task = 0; TakeTicket(epoch, task);) run(task);
}

void ThreadPool::FetchWhenIdle(size_t thread, const std::byte* data, size_t bytes) {
  Seat& seat = seats_[thread];
  seat.ahead.store(data, std::memory_order_relaxed);
  seat.ahead_bytes.store(bytes, std::memory_order_relaxed);
  seat.hint.store(seat.hint.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

template <class F>
bool ThreadPool::IdleUntil(const F& done, Seat& seat) {
  const uint32_t hint = seat.hint.load(std::memory_order_acquire);
  if (seat.followed != hint) {
    seat.followed = hint;
    seat.at = seat.ahead.load(std::memory_order_relaxed);
    seat.end = seat.at + std::min(seat.ahead_bytes.load(std::memory_order_relaxed), MostAhead());
  }
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      if (seat.at == seat.end) {
        Pause();
      } else {
        seat.at = Fetch(seat.at, seat.end);
      }
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return done();
}

void ThreadPool::Work(size_t thread) {
  uint32_t seen = 0;
  while (true) {
    const auto woken = [&] { return epoch_.load(std::memory_order_acquire) != seen; };
    if (!IdleUntil(woken, seats_[thread])) epoch_.wait(seen, std::memory_order_acquire);
    // In this order: if the end is signalled in between, the next wait sees its epoch.
    seen = epoch_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_acquire)) return;
    Drain(seen, thread);
  }
}

}  // namespace linnet
