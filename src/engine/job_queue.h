// JobQueue: jobs that wait for a place, fair between owners and bounded.
#ifndef LINNET_ENGINE_JOB_QUEUE_H_
#define LINNET_ENGINE_JOB_QUEUE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/job.h"
#include "grammar/constraint.h"

namespace linnet {

struct WaitingJob {
  uint64_t id = 0;
  Job job{};
  std::shared_ptr<Listener> listener{};
  bool ready = true;                       // false: a state for it is being fetched
  std::optional<Constraint> constraint{};  // after Job::grammar_prefix
};

// Not thread-safe.
class JobQueue {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Limits {
    size_t jobs = 4096, owner_jobs = 1024, tokens = size_t{1} << 24;
  };

  explicit JobQueue(const Limits& limits) : limits_(limits) {}

  // Throws Error kBusy that says what is full.
  void Push(WaitingJob job);

  // The job that should run next: of the owners who run the fewest texts the one who was served
  // least, and of that owner the oldest that is ready. Null if there is none, or if its owner runs
  // `owner_running` texts. A background job only if `background`; these are in one line.
  const WaitingJob* Next(const std::function<size_t(const std::string& owner)>& running,
                         size_t owner_running, bool background);
  // Takes out what Next returned.
  WaitingJob Take(const WaitingJob* job);

  std::optional<WaitingJob> Remove(uint64_t id);
  std::vector<WaitingJob> RemoveExpired(Time now);
  std::vector<WaitingJob> RemoveAll();
  void SetReady(uint64_t id);

  size_t size() const { return size_; }
  size_t tokens() const { return tokens_; }
  bool has_ready() const { return ready_ > 0; }
  std::optional<Time> first_deadline() const { return first_deadline_; }

 private:
  struct Line {
    std::deque<WaitingJob> jobs;
    size_t texts_served = 0;  // as if the owner had always been here
  };
  using Lines = std::map<std::string, Line>;

  Line& LineOf(const Job& job);
  WaitingJob TakeFrom(Line& line, std::deque<WaitingJob>::iterator at);
  // Calls use(line, iterator) for jobs until it returns true.
  template <class F>
  bool Any(const F& use);
  void DropEmptyLines();

  Limits limits_;
  Lines lines_;
  Line background_;
  size_t size_ = 0, tokens_ = 0, ready_ = 0;
  size_t served_ = 0;  // of the owner who was served last
  std::optional<Time> first_deadline_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_JOB_QUEUE_H_
