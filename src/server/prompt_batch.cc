#include "server/prompt_batch.h"

#include <algorithm>
#include <utility>

namespace linnet {

template <class F>
void PromptBatch::Tell(const F& call) {
  const std::lock_guard lock(mutex_);
  if (!failed_) call();
}

// Passes the events of one prompt on.
class PromptBatch::One : public Listener {
 public:
  One(std::shared_ptr<PromptBatch> batch, size_t prompt)
      : batch_(std::move(batch)), prompt_(prompt) {}

  void OnStart() override {
    batch_->Tell([&] { batch_->OnStart(prompt_); });
  }
  void OnPromptTokens(std::span<const TokenInfo> tokens) override {
    batch_->Tell([&] { batch_->OnPromptTokens(prompt_, tokens); });
  }
  void OnPrompt(const PromptRead& read) override {
    batch_->Tell([&] { batch_->OnPrompt(prompt_, read); });
  }
  void OnPromptState(const Snapshot& at) override {
    batch_->Tell([&] { batch_->OnPromptState(at); });
  }
  void OnTextState(size_t /*choice*/, const Snapshot& at, std::span<const int32_t> rest) override {
    batch_->Tell([&] { batch_->OnTextState(at, rest); });
  }
  void OnPiece(size_t choice, const Piece& piece) override {
    batch_->Tell([&] { batch_->OnPiece(prompt_, choice, piece); });
  }
  void OnEnd(size_t choice, const Ending& ending) override {
    batch_->Tell([&] { batch_->OnEnd(prompt_, choice, ending); });
  }
  void OnDone() override { batch_->Done(); }
  void OnError(const Error& error) override { batch_->Fail(error); }

 private:
  std::shared_ptr<PromptBatch> batch_;
  size_t prompt_;
};

PromptBatch::PromptBatch(std::shared_ptr<const ServedModel> served, size_t prompts)
    : served_(std::move(served)), left_(prompts) {}

void PromptBatch::Start(const Job& job, std::vector<std::vector<int32_t>> prompts,
                        HttpReply& reply) {
  reply.OnGone([batch = shared_from_this()] { batch->CancelAll(); });
  for (size_t i = 0; i < prompts.size(); ++i) {
    Job one = job;
    one.prompt = std::move(prompts[i]);
    one.marks = {one.prompt.size()};
    if (one.want_text_state && one.text.max_tokens == 0) {
      one.state_at = std::max<size_t>(one.prompt.size(), 1);
    }
    try {
      AddJob(served_->submit(std::move(one), std::make_shared<One>(shared_from_this(), i)));
    } catch (const Error& error) {
      return Fail(error);
    }
  }
}

void PromptBatch::Done() {
  const std::lock_guard lock(mutex_);
  if (--left_ == 0 && !failed_) OnDone();
}

void PromptBatch::Fail(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(failed_, true)) return;
    OnError(error);
  }
  CancelAll();
}

void PromptBatch::AddJob(uint64_t job) {
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) {
      jobs_.push_back(job);
      return;
    }
  }
  served_->cancel(job);
}

void PromptBatch::CancelAll() {
  std::vector<uint64_t> jobs;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    jobs = std::exchange(jobs_, {});
  }
  for (const uint64_t job : jobs) served_->cancel(job);
}

}  // namespace linnet
