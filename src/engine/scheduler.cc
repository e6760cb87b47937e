#include "engine/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "engine/job_queue.h"
#include "engine/running_jobs.h"
#include "engine/state_cache.h"
#include "grammar/constraint.h"
#include "grammar/token_trie.h"
#include "linnet/error.h"
#include "models/detect.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

SchedulerOptions Resolved(SchedulerOptions options) {
  options.max_running = std::max<size_t>(options.max_running, 1);
  if (options.owner_running == 0) options.owner_running = (options.max_running * 3 + 3) / 4;
  if (options.state_bytes == 0) options.state_bytes = AvailableMemory() / 2;
  options.max_choices = std::clamp<size_t>(options.max_choices, 1, options.max_running);
  options.prompt_rows = std::max<size_t>(options.prompt_rows, 1);
  return options;
}

Error Stopping() { return {ErrorKind::kBusy, "the server is stopping"}; }

constexpr size_t kMostContinuations = 65536;

void CheckContinuations(size_t vocab, const Job& job) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorKind::kBadInput, what); };
  if (job.choices != 1) refuse("continuations are scored once, expected 1 choice");
  if (job.continuations.size() > kMostContinuations) {
    refuse(fmt::format("{} continuations are too many, expected at most {}",
                       job.continuations.size(), kMostContinuations));
  }
  for (const auto& tokens : job.continuations) {
    for (const int32_t id : tokens) {
      if (id >= 0 && static_cast<size_t>(id) < vocab) continue;
      refuse(fmt::format("token {} of a continuation is outside the vocabulary, expected 0 to {}",
                         id, vocab - 1));
    }
  }
}

// Puts what is out of range into an error, and a start of text into an empty job.
void CheckJob(const Model& model, size_t max_choices, Job& job) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorKind::kBadInput, what); };
  const size_t vocab = model.config().vocab;
  if (job.choices == 0 || job.choices > max_choices) {
    refuse(fmt::format("{} choices are out of range, expected 1 to {}", job.choices, max_choices));
  }
  for (const int32_t id : job.prompt) {
    if (id >= 0 && static_cast<size_t>(id) < vocab) continue;
    refuse(fmt::format("token {} of the prompt is outside the vocabulary, expected 0 to {}", id,
                       vocab - 1));
  }
  if (job.start != nullptr && job.start->state.values().size() != model.state_shape().floats()) {
    refuse("the state to start from is not of this model's shape");
  }
  if (job.start != nullptr && !job.start->logits.empty() && job.start->logits.size() != vocab) {
    refuse(fmt::format("the state to start from has {} logits, expected {}",
                       job.start->logits.size(), vocab));
  }
  const bool reads_only = job.text.max_tokens == 0 && job.continuations.empty();
  if (model.config().purpose != Purpose::kText && (!reads_only || job.score_prompt)) {
    refuse(NoTextOf(model.config().purpose, model.path().filename().string()));
  }
  if (!job.continuations.empty()) CheckContinuations(vocab, job);
  if (job.prompt.empty() && (job.embed || job.score_prompt)) {
    refuse("an empty text has neither an embedding nor probabilities");
  }
  if (job.prompt.empty() && (job.start == nullptr || job.start->logits.empty())) {
    job.prompt.push_back(0);
  }
  if (job.state_at && (*job.state_at == 0 || *job.state_at > job.prompt.size())) {
    refuse(fmt::format("a state is wanted after {} tokens of a prompt of {}", *job.state_at,
                       job.prompt.size()));
  }
  job.logprobs = std::min(job.logprobs, vocab);
  Sampler{job.sampler};  // throws if an option is out of range
}

}  // namespace

// What other threads and the scheduler's thread share. The cache's thread may keep it alive for
// longer than the scheduler.
struct SchedulerDoor {
  explicit SchedulerDoor(const JobQueue::Limits& limits) : queue(limits) {}

  void SetReady(uint64_t id) {
    {
      const std::lock_guard lock(mutex);
      queue.SetReady(id);
    }
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  JobQueue queue;
  std::vector<uint64_t> cancelled;
  uint64_t last_id = 0;
  bool stopping = false;
  Clock::time_point until = Clock::time_point::max();
  bool ended = false;
  SchedulerStatistics published;  // by the thread
  uint64_t submitted = 0, refused = 0, wakeups = 0;
};

class Scheduler::Impl {
 public:
  Impl(const Model& model, std::shared_ptr<const Tokenizer> tokenizer, Workspace& workspace,
       StateCache* cache, const SchedulerOptions& options)
      : options_(Resolved(options)),
        context_{model,         std::move(tokenizer), workspace,     cache,
                 options_.grid, options_.guesses,     options_.draft},
        door_(std::make_shared<SchedulerDoor>(
            JobQueue::Limits{options_.queue, options_.owner_queue, options_.queue_tokens})),
        running_(context_, options_),
        thread_([this] { Run(); }) {}

  ~Impl() {
    Stop(Clock::now());
    thread_.join();
  }

  uint64_t Submit(Job job, std::shared_ptr<Listener> listener);
  void Cancel(uint64_t id);
  void Stop(Clock::time_point until);
  SchedulerStatistics statistics() const;

 private:
  void Run();
  bool Wait();
  void HandleEnds();
  void Admit();
  void Publish();

  std::optional<Constraint> ConstraintOf(const Job& job);

  const SchedulerOptions options_;
  const JobContext context_;
  std::once_flag trie_once_;
  std::shared_ptr<const TokenTrie> trie_;  // of the first job with a grammar on
  const std::shared_ptr<SchedulerDoor> door_;

  // Used by the thread only.
  RunningJobs running_;
  uint64_t never_cancelled_ = 0, never_failed_ = 0;  // jobs that never ran

  std::thread thread_;  // last: it uses the others
};

std::optional<Constraint> Scheduler::Impl::ConstraintOf(const Job& job) {
  if (job.grammar == nullptr) return {};
  std::call_once(trie_once_, [&] {
    trie_ = std::make_shared<const TokenTrie>(*context_.tokenizer, context_.model.config().vocab);
  });
  Constraint constraint(job.grammar, trie_);
  if (!constraint.AcceptBytes(job.grammar_prefix)) {
    throw Error(ErrorKind::kBadInput,
                "the grammar does not allow the text that the answer starts with");
  }
  return constraint;
}

uint64_t Scheduler::Impl::Submit(Job job, std::shared_ptr<Listener> listener) {
  CheckJob(context_.model, options_.max_choices, job);
  auto constraint = ConstraintOf(job);
  SchedulerDoor& door = *door_;
  // For the others whole prompts are read.
  StateCache* cache = LooksUp(job) ? context_.cache : nullptr;
  const std::string owner = cache == nullptr ? std::string() : CacheOwner(job);
  std::vector<int32_t> prompt;
  if (cache != nullptr) {
    const auto text = LookedUp(job);
    prompt.assign(text.begin(), text.end());
  }
  uint64_t id = 0;
  {
    const std::lock_guard lock(door.mutex);
    try {
      if (door.stopping) throw Stopping();
      door.queue.Push({door.last_id + 1, std::move(job), std::move(listener), cache == nullptr,
                       std::move(constraint)});
    } catch (const Error&) {
      ++door.refused;
      throw;
    }
    id = ++door.last_id;
    ++door.submitted;
  }
  const auto fetched = [id, weak = std::weak_ptr(door_)] {
    if (const auto at = weak.lock()) at->SetReady(id);
  };
  if (cache == nullptr) {
    door.changed.notify_all();
  } else if (!cache->Fetch(owner, prompt, fetched)) {
    door.SetReady(id);
  }
  return id;
}

void Scheduler::Impl::Cancel(uint64_t id) {
  {
    const std::lock_guard lock(door_->mutex);
    if (id == 0 || id > door_->last_id) return;
    door_->cancelled.push_back(id);
  }
  door_->changed.notify_all();
}

void Scheduler::Impl::Stop(Clock::time_point until) {
  std::unique_lock lock(door_->mutex);
  door_->stopping = true;
  door_->until = std::min(door_->until, until);
  door_->changed.notify_all();
  door_->changed.wait(lock, [&] { return door_->ended; });
}

void Scheduler::Impl::Run() {
  while (Wait()) {
    try {
      HandleEnds();
      Admit();
      if (!running_.empty()) running_.Pass();
    } catch (const std::exception& error) {
      running_.FailAll(
          {ErrorKind::kNoMemory, std::string("the texts cannot go on: ") + error.what()});
    }
    Publish();
  }
  {
    const std::lock_guard lock(door_->mutex);
    door_->ended = true;
  }
  door_->changed.notify_all();
}

// Returns false when there is nothing to do any more.
bool Scheduler::Impl::Wait() {
  SchedulerDoor& door = *door_;
  std::unique_lock lock(door.mutex);
  while (true) {
    ++door.wakeups;
    if (door.stopping && running_.empty() && door.queue.size() == 0) return false;
    if (door.stopping || !running_.empty() || !door.cancelled.empty() || door.queue.has_ready()) {
      return true;
    }
    const auto deadline = door.queue.first_deadline();
    if (!deadline) {
      door.changed.wait(lock);
    } else if (*deadline <= Clock::now() ||
               door.changed.wait_until(lock, *deadline) == std::cv_status::timeout) {
      return true;
    }
  }
}

// Cancelled and late jobs, and all of them when the time to stop has come.
void Scheduler::Impl::HandleEnds() {
  const auto now = Clock::now();
  std::vector<uint64_t> cancelled;
  std::vector<WaitingJob> never, late, refused;
  bool all = false;
  {
    const std::lock_guard lock(door_->mutex);
    cancelled.swap(door_->cancelled);
    for (const uint64_t id : cancelled) {
      if (auto job = door_->queue.Remove(id)) never.push_back(std::move(*job));
    }
    late = door_->queue.RemoveExpired(now);
    if (door_->stopping) refused = door_->queue.RemoveAll();
    all = door_->stopping && now >= door_->until;
  }
  for (const WaitingJob& job : never) TellInterrupted(job);
  for (const WaitingJob& job : late) TellError(job, RunningJobs::TooLate());
  for (const WaitingJob& job : refused) TellError(job, Stopping());
  never_cancelled_ += never.size();
  never_failed_ += late.size() + refused.size();
  running_.End(now, cancelled, all);
}

void Scheduler::Impl::Admit() {
  const auto texts = [this](const std::string& owner) { return running_.TextsOf(owner); };
  while (true) {
    WaitingJob next;
    {
      const std::lock_guard lock(door_->mutex);
      const WaitingJob* job = door_->queue.Next(texts, options_.owner_running, running_.empty());
      if (job == nullptr || !running_.Fits(job->job)) return;
      next = door_->queue.Take(job);
    }
    running_.Start(next);
  }
}

void Scheduler::Impl::Publish() {
  const SchedulerStatistics& now = running_.statistics();
  const std::lock_guard lock(door_->mutex);
  door_->published = now;
  door_->published.cancelled += never_cancelled_;
  door_->published.failed += never_failed_;
}

SchedulerStatistics Scheduler::Impl::statistics() const {
  const std::lock_guard lock(door_->mutex);
  SchedulerStatistics now = door_->published;
  now.places = options_.max_running;
  now.waiting = door_->queue.size();
  now.waiting_tokens = door_->queue.tokens();
  now.submitted = door_->submitted;
  now.refused = door_->refused;
  now.wakeups = door_->wakeups;
  return now;
}

Scheduler::Scheduler(const Model& model, std::shared_ptr<const Tokenizer> tokenizer,
                     Workspace& workspace, StateCache* cache, const SchedulerOptions& options)
    : impl_(std::make_unique<Impl>(model, std::move(tokenizer), workspace, cache, options)) {}
Scheduler::~Scheduler() = default;

uint64_t Scheduler::Submit(Job job, std::shared_ptr<Listener> listener) {
  return impl_->Submit(std::move(job), std::move(listener));
}
void Scheduler::Cancel(uint64_t job) { impl_->Cancel(job); }
void Scheduler::Stop(std::chrono::steady_clock::time_point until) { impl_->Stop(until); }
SchedulerStatistics Scheduler::statistics() const { return impl_->statistics(); }

}  // namespace linnet
