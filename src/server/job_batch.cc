#include "server/job_batch.h"

#include <utility>

#include "server/router.h"

namespace linnet {
namespace {

constexpr size_t kAtOnce = 32;  // jobs of one request in the scheduler

}  // namespace

class JobBatch::One : public Listener {
 public:
  One(std::shared_ptr<JobBatch> batch, size_t index) : batch_(std::move(batch)), index_(index) {}

  void OnPrompt(const PromptRead& read) override {
    const std::lock_guard lock(batch_->mutex_);
    batch_->usage_.tokens += read.tokens;
    batch_->usage_.cached += read.cached;
  }
  void OnEmbedding(std::span<const float> vector) override { batch_->OnVector(index_, vector); }
  void OnContinuation(size_t continuation, const ContinuationScore& score) override {
    batch_->OnScore(index_, continuation, score);
  }
  void OnPromptState(const Snapshot& at) override { batch_->OnPromptState(index_, at); }
  void OnEnd(size_t /*choice*/, const Ending& ending) override {
    if (ending.finish != Finish::kInterrupted) return;
    batch_->Fail({ErrorKind::kBusy, "the request was cancelled before it could be answered"});
  }
  void OnDone() override { batch_->OnDone(); }
  void OnError(const Error& error) override { batch_->Fail(error); }

 private:
  std::shared_ptr<JobBatch> batch_;
  size_t index_;
};

JobBatch::JobBatch(std::shared_ptr<const ServedModel> served, std::shared_ptr<HttpReply> reply,
                   size_t jobs)
    : served_(std::move(served)), reply_(std::move(reply)), jobs_(jobs) {}

void JobBatch::Start(bool first_alone) {
  first_alone_ = first_alone;
  SubmitNext();
  if (!first_alone) Continue(kAtOnce - 1);
  reply_->OnGone([weak = weak_from_this()] {
    if (const auto batch = weak.lock()) batch->Stop();
  });
}

// Queues the next job, if there is one and the request has not ended.
void JobBatch::SubmitNext() {
  size_t index = 0;
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || next_ == jobs_.size()) return;
    index = next_++;
  }
  const uint64_t id =
      served_->submit(JobOf(index), std::make_shared<One>(shared_from_this(), index));
  const std::lock_guard lock(mutex_);
  jobs_[index] = id;
  if (ended_) served_->cancel(id);
}

// One call at a time submits for all: a scheduler may end a job before Submit returns.
void JobBatch::Continue(size_t jobs) {
  {
    const std::lock_guard lock(mutex_);
    wanted_ += jobs;
    if (std::exchange(submitting_, true)) return;
  }
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (wanted_ == 0) {
        submitting_ = false;
        return;
      }
      --wanted_;
    }
    try {
      SubmitNext();
    } catch (const Error& error) {  // ends the request, so that there are no next ones
      Fail(error);
    }
  }
}

void JobBatch::OnDone() {
  bool last = false, first = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    last = ++done_ == jobs_.size();
    first = done_ == 1;
    ended_ = last;
  }
  if (!last) return Continue(first && first_alone_ ? kAtOnce : 1);
  reply_->CountTokens(usage_.tokens);
  Answer(usage_);
}

void JobBatch::Fail(const Error& error) {
  if (Stop()) SendFailure(error);
}

void JobBatch::SendFailure(const Error& error) { SendError(*reply_, error); }

// Cancels what runs. False if the request had ended.
bool JobBatch::Stop() {
  std::vector<uint64_t> running;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    ended_ = true;
    for (const auto& job : jobs_) {
      if (job) running.push_back(*job);
    }
  }
  for (const uint64_t job : running) served_->cancel(job);
  return true;
}

}  // namespace linnet
