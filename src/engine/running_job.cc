#include "engine/running_job.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/logprobs.h"
#include "engine/pooling.h"

namespace linnet {
namespace {

// Marks nearer than this to the next one are not worth a pass that ends there, but for the last.
constexpr size_t kMarkSpacing = 64, kLastMarks = 2;
// What a reading job that is cancelled must have read for its state to be kept.
constexpr size_t kWorthKeeping = 64;

// Where states are kept, descending: marks and the grid.
std::vector<size_t> PlacesToKeep(const std::vector<size_t>& marks, size_t prompt, size_t grid) {
  std::vector<size_t> places;
  size_t next = prompt;
  for (auto mark = marks.rbegin(); mark != marks.rend(); ++mark) {
    if (*mark == 0 || *mark > next || (*mark == next && !places.empty())) continue;
    if (places.size() >= kLastMarks && next - *mark < kMarkSpacing) continue;
    places.push_back(*mark);
    next = *mark;
  }
  for (size_t at = grid; grid != 0 && at <= prompt; at += grid) places.push_back(at);
  std::sort(places.rbegin(), places.rend());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

// Its `tokens` are those of the prompt that it is after.
Snapshot StartOf(const JobContext& context, const Job& job, bool caches) {
  if (caches) {
    if (auto hit = context.cache->FindInMemory(CacheOwner(job), LookedUp(job))) {
      return {std::move(hit->state), {}, hit->tokens};
    }
  }
  if (job.start == nullptr) return {context.model.NewState(), {}};
  Snapshot start = job.start->Clone();
  start.tokens = 0;
  return start;
}

// States of texts from the model's own start, or from one that has a key.
bool HasCacheKey(const Job& job) { return job.start == nullptr || !job.start_key.empty(); }

}  // namespace

void JobText::Step() noexcept {
  try {
    stepped = 0;
    do {
      ++stepped;
      text.Step(sequence,
                [this](int32_t token, std::span<const float>) { written.push_back(token); });
    } while (text.finish() == Finish::kNone && sequence.ready());
  } catch (...) {
    failure = std::current_exception();
  }
}

bool LooksUp(const Job& job) {
  return job.use_cache && HasCacheKey(job) && !job.score_prompt && !job.embed;
}

// A state after more than state_at tokens would be of no use. A hit leaves one token to run.
std::span<const int32_t> LookedUp(const Job& job) {
  const size_t most = job.state_at ? *job.state_at + 1 : job.prompt.size();
  return std::span(job.prompt).first(std::min(most, job.prompt.size()));
}

void TellInterrupted(const WaitingJob& job) noexcept {
  try {
    for (size_t choice = 0; choice < job.job.choices; ++choice) {
      job.listener->OnEnd(choice, {.finish = Finish::kInterrupted});
    }
    job.listener->OnDone();
  } catch (...) {  // it was the last call
  }
}

void TellError(const WaitingJob& job, const Error& error) noexcept {
  try {
    job.listener->OnError(error);
  } catch (...) {
  }
}

template <class F>
void RunningJob::Tell(const F& call) noexcept {
  if (threw_) return;
  try {
    call(*waiting_.listener);
  } catch (...) {
    threw_ = true;
  }
}

RunningJob::RunningJob(const JobContext& context, const WaitingJob& waiting)
    : context_(context), waiting_(waiting) {
  Job& job = waiting_.job;
  caches_ = context.cache != nullptr && job.use_cache && HasCacheKey(job);
  Snapshot start = StartOf(context, job, caches_ && LooksUp(job));
  read_ = start.tokens;
  reader_.emplace(std::move(start), Sampler(job.sampler, context.tokenizer));
  reader_->set_adapter(job.adapter.get());
  if (caches_) marks_ = PlacesToKeep(job.marks, job.prompt.size(), context.grid);
  prompt_ = {job.prompt.size(), read_, std::max(read_, marks_.empty() ? 0 : marks_.front())};
  if (job.embed) hidden_sum_.resize(context.model.config().width);
  FindStop();
  Tell([](Listener& to) { to.OnStart(); });
  if (read_ > 0) TellPromptState();
  if (job.prompt.empty()) Begin();
}

void RunningJob::TellPromptState() {
  if (job().state_at == read_) Tell([&](Listener& to) { to.OnPromptState(reader_->at()); });
}

void RunningJob::FindStop() {
  while (!marks_.empty() && marks_.back() <= read_) marks_.pop_back();
  stop_ = marks_.empty() ? prompt_tokens() : marks_.back();
  if (job().state_at.value_or(0) > read_) stop_ = std::min(stop_, *job().state_at);
}

void RunningJob::Plan(size_t rows) {
  if (scorer_) return scorer_->Plan(rows);
  planned_ += rows;
}

void RunningJob::AddShares(std::span<float> score_logits, std::vector<Share>& shares) {
  if (scorer_) return scorer_->AddShares(score_logits, shares);
  reader_->Feed(std::span(job().prompt).subspan(read_, planned_));
  if (job().embed) {
    hidden_weights_.resize(planned_);
    PoolingWeights(job().pooling, job().prompt, EndToken(context_.model.config()), read_,
                   hidden_weights_);
  }
  shares.push_back({.sequence = &*reader_,
                    .logits = wants_head() && read_ + planned_ == prompt_tokens(),
                    .all_logits = score_logits,
                    .hidden_sum = hidden_sum_,
                    .hidden_weights = hidden_weights_});
}

void RunningJob::AfterRead(std::span<const Share> shares) {
  if (scorer_) {
    const auto error = scorer_->Take(
        shares, context_.workspace,
        [this](size_t index, const ContinuationScore& score) { TellScore(index, score); });
    if (error) return Fail(*error);
    return FinishScores();
  }
  const Share& share = shares.front();
  planned_ = 0;
  if (share.error) return Fail(*share.error);
  if (job().score_prompt) ScorePrompt(share);
  for (const float weight : hidden_weights_) hidden_weight_ += double{weight};
  read_ += share.tokens;
  if (!marks_.empty() && marks_.back() == read_) KeepRead();
  TellPromptState();
  FindStop();
  if (read_ == prompt_tokens()) Begin();
}

void RunningJob::ScorePrompt(const Share& share) {
  const size_t vocab = context_.model.config().vocab;
  const auto& prompt = job().prompt;
  std::vector<TokenInfo> infos;
  if (read_ == 0) {
    const bool known = job().start != nullptr && !job().start->logits.empty();
    infos.push_back(known ? InfoOf(prompt[0], job().start->logits, job().logprobs)
                          : TokenInfo{prompt[0], std::numeric_limits<float>::quiet_NaN(), {}});
  }
  const size_t first = infos.size();
  const size_t count = std::min(share.tokens, prompt.size() - 1 - read_);
  infos.resize(first + count);
  context_.workspace.ForEach(count, [&](size_t i) {
    infos[first + i] =
        InfoOf(prompt[read_ + i + 1], share.all_logits.subspan(i * vocab, vocab), job().logprobs);
  });
  Tell([&](Listener& to) { to.OnPromptTokens(infos); });
}

void RunningJob::KeepRead() {
  context_.cache->Keep(CacheOwner(job()), std::span(job().prompt).first(read_),
                       reader_->at().state);
}

GeneratedText RunningJob::NewText() const {
  return GeneratedText(*context_.tokenizer, {.text = job().text,
                                             .want_tokens = true,
                                             .want_logprobs = job().want_logprobs,
                                             .logprobs = job().logprobs,
                                             .constraint = waiting_.constraint,
                                             .keep_logits = false});
}

void RunningJob::Begin() {
  begun_ = job().continuations.empty();
  Tell([&](Listener& to) { to.OnPrompt(prompt_); });
  if (job().embed) {
    const auto pooled = Pooled(hidden_sum_, hidden_weight_);
    Tell([&](Listener& to) { to.OnEmbedding(pooled); });
  }
  if (!begun_) return BeginScores();
  open_ = job().choices;
  if (!wants_head() || NewText().finish() != Finish::kNone) {
    for (size_t i = 0; i < job().choices; ++i) {
      Tell([&](Listener& to) { to.OnEnd(i, NewText().ending()); });
    }
    return Finish();
  }
  BeginTexts();
}

void RunningJob::Speculate(Sequence& sequence) const {
  if (context_.guesses == 0) return;
  sequence.Speculate(
      {.most = context_.guesses, .prediction = job().prediction, .draft = context_.draft},
      context_.model.config().vocab);
  sequence.speculation()->Read(job().prompt);
}

SpeculationCounts RunningJob::speculation() const {
  SpeculationCounts all;
  for (const JobText& text : texts_) {
    if (const Speculation* one = text.sequence.speculation()) all.Add(one->counts());
  }
  return all;
}

void RunningJob::TellScore(size_t index, const ContinuationScore& score) {
  Tell([&](Listener& to) { to.OnContinuation(index, score); });
}

void RunningJob::BeginScores() {
  scorer_.emplace(context_.model, job(), reader_->at());
  scorer_->Begin([this](size_t index, const ContinuationScore& score) { TellScore(index, score); });
  FinishScores();
}

void RunningJob::FinishScores() {
  if (!scorer_->done()) return;
  Tell([](Listener& to) { to.OnEnd(0, {.finish = Finish::kLength}); });
  Finish();
}

void RunningJob::BeginTexts() try {
  for (size_t i = 1; i < job().choices; ++i) {
    SamplerOptions sampler = job().sampler;
    sampler.seed += i;
    texts_.emplace_back(i, Sequence(reader_->at().Clone(), Sampler(sampler, context_.tokenizer)),
                        NewText());
    texts_.back().sequence.set_adapter(job().adapter.get());
  }
  texts_.emplace_front(0, std::move(*reader_), NewText());
  reader_.reset();
  for (JobText& text : texts_) Speculate(text.sequence);
} catch (const std::exception& error) {
  Fail({ErrorKind::kNoMemory,
        std::string("no room for the states of the choices: ") + error.what()});
}

void RunningJob::AfterStep(JobText& text) {
  if (text.failure) {
    try {
      std::rethrow_exception(std::exchange(text.failure, nullptr));
    } catch (const Error& error) {
      return Fail(error);
    } catch (const std::exception& error) {
      return Fail({ErrorKind::kNoMemory, std::string("a text cannot go on: ") + error.what()});
    }
  }
  if (text.text.has_piece()) {
    Tell([&](Listener& to) { to.OnPiece(text.choice, text.text.piece()); });
    text.text.ClearPiece();
  }
  if (text.text.finish() == Finish::kNone) return;
  // Its state is kept, so it is run to where it would be without guesses.
  if (caches_ && !interrupted_ && text.sequence.behind() > 0) return;
  text.ended = true;
  KeepEnd(text);
  if (job().want_text_state) {
    Tell([&](Listener& to) {
      to.OnTextState(text.choice, text.sequence.at(), text.sequence.waiting_tokens());
    });
  }
  Ending ending = text.text.ending();
  if (const auto* speculation = text.sequence.speculation()) {
    ending.speculation = speculation->counts();
  }
  Tell([&](Listener& to) { to.OnEnd(text.choice, ending); });
  if (--open_ == 0) Finish();
}

// The position after all tokens that were run. The last token may be none of these, and of a text
// that ended at a stop string those before it that were returned as a whole are.
void RunningJob::KeepEnd(const JobText& text) {
  if (!caches_) return;
  const size_t tokens = text.sequence.at().tokens;
  if (tokens <= prompt_.cached || tokens < prompt_tokens()) return;
  std::vector<int32_t> whole = job().prompt;
  const auto end = text.written.begin() + static_cast<ptrdiff_t>(tokens - prompt_tokens());
  whole.insert(whole.end(), text.written.begin(), end);
  context_.cache->Keep(CacheOwner(job()), whole, text.sequence.at().state);
}

void RunningJob::Interrupt() {
  if (done()) return;
  interrupted_ = true;
  if (reading()) {
    if (caches_ && read_ >= prompt_.cached + kWorthKeeping) KeepRead();
    for (size_t i = 0; i < job().choices; ++i) {
      Tell([&](Listener& to) { to.OnEnd(i, {.finish = Finish::kInterrupted}); });
    }
    return Finish();
  }
  for (JobText& text : texts_) {
    if (text.ended) continue;
    text.text.Interrupt();
    AfterStep(text);
  }
}

void RunningJob::Fail(const Error& error) {
  if (done()) return;
  Tell([&](Listener& to) { to.OnError(error); });
  texts_.clear();
  scorer_.reset();
  outcome_ = Outcome::kFailed;
}

void RunningJob::Finish() {
  Tell([](Listener& to) { to.OnDone(); });
  outcome_ = interrupted_ ? Outcome::kInterrupted : Outcome::kDone;
}

}  // namespace linnet
