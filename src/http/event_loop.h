// EventLoop: one I/O thread's descriptors, deadlines and posted calls.
#ifndef LINNET_HTTP_EVENT_LOOP_H_
#define LINNET_HTTP_EVENT_LOOP_H_

#include <chrono>
#include <functional>
#include <memory>

namespace linnet {

class Watch;

class EventLoop {
 public:
  using Call = std::function<void()>;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs calls until Stop; sleeps in the kernel while there are none. Calls must not throw.
  void Run();
  // Any thread. What is posted later never runs.
  void Stop();
  // Any thread: runs on the loop's thread, in order.
  void Post(Call call);
  // On the loop's thread: calls once at that time; replaces an earlier call.
  void At(std::chrono::steady_clock::time_point time, Call call);

 private:
  friend class Watch;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Owns one descriptor, which must not block, and one deadline. Only on the loop's thread, and only
// while the loop lives. A call that became due just before Close may still run after it.
class Watch {
 public:
  // Throws if the system cannot watch one more; then the descriptor is closed, too.
  Watch(EventLoop& loop, int descriptor);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  int descriptor() const { return descriptor_; }  // -1 when closed
  // Calls once when it can be read (or its end was reached), or written; one pending call each.
  void OnReadable(EventLoop::Call call);
  void OnWritable(EventLoop::Call call);
  // Calls once at that time; replaces an earlier one.
  void At(std::chrono::steady_clock::time_point time, EventLoop::Call call);
  // Closes the descriptor and drops all pending calls.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int descriptor_;
};

}  // namespace linnet

#endif  // LINNET_HTTP_EVENT_LOOP_H_
