// RunningJob: a job from the time it leaves the queue: it reads its prompt, then writes its texts.
#ifndef LINNET_ENGINE_RUNNING_JOB_H_
#define LINNET_ENGINE_RUNNING_JOB_H_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/continuation_scorer.h"
#include "engine/generated_text.h"
#include "engine/job_queue.h"
#include "engine/sequence.h"
#include "engine/state_cache.h"
#include "linnet/model.h"

namespace linnet {

// What jobs run on; outlives them.
struct JobContext {
  const Model& model;
  const std::shared_ptr<const Tokenizer> tokenizer;
  Workspace& workspace;
  StateCache* cache;
  size_t grid;
  size_t guesses;
  const std::shared_ptr<const Model> draft;
};

// One choice.
struct JobText {
  JobText(size_t choice_number, Sequence start, GeneratedText begun)
      : choice(choice_number), sequence(std::move(start)), text(std::move(begun)) {}

  // Takes a token, and those that follow without a pass. On any thread.
  void Step() noexcept;

  size_t choice;
  Sequence sequence;
  GeneratedText text;
  std::vector<int32_t> written{};  // tokens sampled
  std::exception_ptr failure{};    // of Step
  bool ended = false;              // its end was told
  size_t stepped = 0;              // tokens of the last Step
};

// All functions run on the scheduler's thread. Those that call the listener return normally
// whatever it throws; failed() is then true.
class RunningJob {
 public:
  enum class Outcome : uint8_t { kNone, kDone, kInterrupted, kFailed };

  // Tells the start, and takes a state from the cache if there is one. Throws Error, std::bad_alloc
  // as the model does.
  RunningJob(const JobContext& context, const WaitingJob& waiting);

  uint64_t id() const { return waiting_.id; }
  const Job& job() const { return waiting_.job; }
  size_t prompt_tokens() const { return job().prompt.size(); }
  size_t cached() const { return prompt_.cached; }
  // Its prompt or continuations.
  bool reading() const { return !begun_; }
  bool done() const { return outcome_ != Outcome::kNone; }  // the last call was made
  Outcome outcome() const { return outcome_; }
  bool listener_threw() const { return threw_; }

  // Rows that may be added to the next pass, beyond those planned: of the prompt up to the next
  // place where a state is kept, or of continuations.
  size_t room() const { return scorer_ ? scorer_->room() : stop_ - read_ - planned_; }
  void Plan(size_t rows);
  size_t planned() const { return scorer_ ? scorer_->planned() : planned_; }
  // Whether these rows need all their logits.
  bool scores() const { return scorer_ || job().score_prompt; }
  // Appends the shares of the next pass with the planned rows. `score_logits`: memory for the
  // logits of all of them, if scores(). Throws what ContinuationScorer::AddShares does.
  void AddShares(std::span<float> score_logits, std::vector<Share>& shares);
  // After the pass, with these shares. Keeps states, and begins the texts or continuations when the
  // prompt has ended.
  void AfterRead(std::span<const Share> shares);
  size_t forks() const { return scorer_ ? scorer_->forks() : 0; }

  std::list<JobText>& texts() { return texts_; }
  SpeculationCounts speculation() const;
  // Tells what a text has written, and its end: one pass later if its sequence is behind() and its
  // state is to be kept.
  void AfterStep(JobText& text);

  // Ends all texts, or those that would have begun.
  void Interrupt();
  void Fail(const Error& error);

  uint64_t served = 0;  // when its prompt last got rows

 private:
  template <class F>
  void Tell(const F& call) noexcept;
  void Begin();
  void BeginTexts();
  void BeginScores();
  void FinishScores();
  void TellScore(size_t index, const ContinuationScore& score);
  bool wants_head() const {
    return job().text.max_tokens > 0 || !job().continuations.empty() ||
           (job().state_at == prompt_tokens() && context_.model.config().purpose == Purpose::kText);
  }
  void FindStop();
  void ScorePrompt(const Share& share);
  void TellPromptState();
  void KeepRead();
  void KeepEnd(const JobText& text);
  void Finish();
  GeneratedText NewText() const;
  void Speculate(Sequence& sequence) const;

  const JobContext& context_;
  WaitingJob waiting_;
  bool caches_;  // uses the cache
  std::optional<Sequence> reader_;
  std::optional<ContinuationScorer> scorer_;  // from the end of the prompt on
  PromptRead prompt_;
  std::vector<size_t> marks_;  // places in the prompt where a state is kept, descending
  size_t read_ = 0, stop_ = 0, planned_ = 0;
  std::vector<double> hidden_sum_;
  std::vector<float> hidden_weights_;  // of the planned rows
  double hidden_weight_ = 0;           // the sum of all so far
  std::list<JobText> texts_;
  size_t open_ = 0;  // texts that have not ended
  bool begun_ = false, interrupted_ = false, threw_ = false;
  Outcome outcome_ = Outcome::kNone;
};

// Whether a cached state may take the place of a part of the prompt: not if anything is told of the
// whole prompt.
bool LooksUp(const Job& job);
// The part of its prompt that is looked up.
std::span<const int32_t> LookedUp(const Job& job);

// What a job that never ran is told.
void TellInterrupted(const WaitingJob& job) noexcept;
void TellError(const WaitingJob& job, const Error& error) noexcept;

}  // namespace linnet

#endif  // LINNET_ENGINE_RUNNING_JOB_H_
