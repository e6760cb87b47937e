#include "engine/running_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <new>
#include <optional>

namespace linnet {
namespace {

using SchedulerClock = std::chrono::steady_clock;

// Rows of a prompt that share a turn; the fewest that are efficient together.
constexpr size_t kQuantum = 64;
// Rows of prompts to be scored in a pass: their logits take V floats each.
constexpr size_t kScoredRows = 32;
// With more texts their rows fill a pass.
constexpr size_t kTextsWithGuesses = 16;

double SecondsSince(SchedulerClock::time_point start) {
  return std::chrono::duration<double>(SchedulerClock::now() - start).count();
}

}  // namespace

RunningJobs::RunningJobs(const JobContext& context, const SchedulerOptions& options)
    : context_(context),
      options_(options),
      shape_(context.model.state_shape()),
      state_bytes_(shape_.floats() * sizeof(float)),
      budget_({options_.prompt_rows, options_.stretch, options_.prompt_pass_s}) {}

Error RunningJobs::TooLate() {
  return {ErrorKind::kBusy, "the request's time was over before it could be answered"};
}

size_t RunningJobs::TextsOf(const std::string& owner) const {
  const auto at = owner_texts_.find(owner);
  return at == owner_texts_.end() ? 0 : at->second;
}

bool RunningJobs::foreground() const {
  return std::any_of(jobs_.begin(), jobs_.end(),
                     [](const RunningJob& job) { return !job.job().background; });
}

uint64_t RunningJobs::BytesOf(const Job& job) const {
  uint64_t more = std::min<uint64_t>(job.text.max_tokens, UINT32_MAX), states = job.choices;
  if (!job.continuations.empty()) {
    more = 0;
    for (const auto& tokens : job.continuations) more = std::max<uint64_t>(more, tokens.size());
    states = PlacesOf(job) + 1;  // the forks, and what they go on from
  }
  const uint64_t tokens = job.prompt.size() + more;
  const uint64_t rows = std::min<uint64_t>(tokens * shape_.token_bytes(), shape_.row_limit);
  return states * (state_bytes_ + rows);
}

void RunningJobs::Reserve(const Job& job) {
  if (job.background) return;
  owner_texts_[job.owner] += PlacesOf(job);
  texts_ += PlacesOf(job);
  bytes_ += BytesOf(job);
}

void RunningJobs::Release(const Job& job) {
  if (job.background) return;
  const auto owner = owner_texts_.find(job.owner);
  owner->second -= PlacesOf(job);
  if (owner->second == 0) owner_texts_.erase(owner);
  texts_ -= PlacesOf(job);
  bytes_ -= BytesOf(job);
}

bool RunningJobs::Fits(const Job& job) const {
  if (job.background) return true;
  if (!foreground()) return true;
  return texts_ + PlacesOf(job) <= options_.max_running &&
         bytes_ + BytesOf(job) <= options_.state_bytes;
}

void RunningJobs::Start(const WaitingJob& waiting) {
  const auto start = SchedulerClock::now();
  // Before it runs, since what it tells may submit another.
  Reserve(waiting.job);
  try {
    jobs_.emplace_back(context_, waiting);
    totals_.cached_tokens += jobs_.back().cached();
  } catch (const std::exception& error) {
    Release(waiting.job);
    TellError(waiting, {ErrorKind::kNoMemory, std::string("no room for a state: ") + error.what()});
    ++totals_.failed;
  }
  totals_.cache_s += SecondsSince(start);
}

void RunningJobs::End(SchedulerClock::time_point now, std::span<const uint64_t> cancelled,
                      bool all) {
  for (RunningJob& job : jobs_) {
    const bool late = job.job().deadline && *job.job().deadline <= now;
    if (late && job.reading()) {
      job.Fail(TooLate());
    } else if (all || late || job.listener_threw() ||
               std::find(cancelled.begin(), cancelled.end(), job.id()) != cancelled.end()) {
      job.Interrupt();
    }
  }
  RemoveDone();
}

void RunningJobs::Pass() {
  const auto start = SchedulerClock::now();
  shares_.clear();
  readers_.clear();
  const bool background = !foreground();
  PlanTexts(background);
  const size_t texts = text_shares_ = shares_.size(), rows = PlanReaders(background);
  const size_t guesses = PlanGuesses(rows);
  LendLogits();
  const auto pass = SchedulerClock::now();
  if (!shares_.empty()) {
    try {
      Advance(context_.model, std::span(shares_), context_.workspace);
    } catch (const std::bad_alloc&) {
      const Error error(ErrorKind::kNoMemory,
                        fmt::format("not enough memory for a pass of {} rows", texts + rows));
      for (Share& share : shares_) share.error = error;
    }
    ++totals_.passes;
  }
  const double pass_s = SecondsSince(pass);
  totals_.pass_s += pass_s;
  size_t text_rows = 0;
  double made_s = 0;
  for (const Share& share : std::span(shares_).first(texts)) {
    text_rows += share.tokens + share.guessed;
    if (share.guesses > 0) made_s += share.sequence->speculation()->made_s();
  }
  totals_.decode_rows += text_rows;
  totals_.prompt_rows += rows;
  times_.Took(text_rows + rows, pass_s - made_s);
  const auto after = SchedulerClock::now();
  for (const Reader& reader : readers_) {
    reader.job->AfterRead(std::span<const Share>(shares_).subspan(reader.first, reader.count));
  }
  const double read_s = SecondsSince(after);
  totals_.cache_s += read_s;
  FindReady();
  StepTexts();
  EndTexts();
  const double all_s = SecondsSince(start);
  totals_.other_s += all_s - pass_s - read_s;
  // Guesses are no part of what texts take without prompts.
  if (!shares_.empty() && guesses == 0) budget_.Took(texts, rows, all_s);
  RemoveDone();
}

void RunningJobs::PlanTexts(bool background) {
  for (RunningJob& job : jobs_) {
    if (job.job().background != background) continue;
    for (JobText& text : job.texts()) {
      if (text.ended || text.sequence.waiting() == 0) continue;
      Share share{.sequence = &text.sequence};
      if (text.text.finish() != Finish::kNone) {  // only its state is wanted
        share.max_tokens = text.sequence.behind();
        share.logits = false;
      }
      shares_.push_back(share);
    }
  }
}

// The owner whose prompts had to wait longest, and of these prompts that which had to.
RunningJob* RunningJobs::NextReader(bool background, bool may_score) {
  RunningJob* best = nullptr;
  std::pair<uint64_t, uint64_t> rank;
  for (RunningJob& job : jobs_) {
    if (!job.reading() || job.job().background != background || job.room() == 0) continue;
    if (job.scores() && !may_score) continue;
    const auto owner = owner_served_.find(job.job().owner);
    const std::pair mine{owner == owner_served_.end() ? 0 : owner->second, job.served};
    if (best != nullptr && mine >= rank) continue;
    best = &job;
    rank = mine;
  }
  return best;
}

size_t RunningJobs::PlanReaders(bool background) {
  const auto prompts =
      static_cast<size_t>(std::count_if(jobs_.begin(), jobs_.end(), [&](const RunningJob& job) {
        return job.reading() && job.job().background == background;
      }));
  if (prompts == 0) {
    owner_served_.clear();
    return 0;
  }
  const size_t budget = budget_.Rows(shares_.size(), prompts);
  totals_.prompt_budget = budget;
  size_t left = budget, scored = 0;
  while (left > 0) {
    RunningJob* job = NextReader(background, scored < kScoredRows);
    if (job == nullptr) break;
    size_t rows = std::min({left, job->room(), kQuantum});
    if (job->scores()) {
      rows = std::min(rows, kScoredRows - scored);
      scored += rows;
    }
    if (job->planned() == 0) readers_.push_back({.job = job});
    job->Plan(rows);
    left -= rows;
    job->served = owner_served_[job->job().owner] = ++turn_;
  }
  AddReaders(scored);
  return budget - left;
}

void RunningJobs::AddReaders(size_t scored) {
  const size_t vocab = context_.model.config().vocab;
  score_logits_.resize(std::max(score_logits_.size(), scored * vocab));
  std::span<float> logits = score_logits_;
  for (Reader& reader : readers_) {
    std::span<float> own;
    if (reader.job->scores()) {
      own = logits.first(reader.job->planned() * vocab);
      logits = logits.subspan(own.size());
    }
    reader.first = shares_.size();
    try {
      reader.job->AddShares(own, shares_);
    } catch (const std::exception& error) {
      shares_.erase(shares_.begin() + static_cast<ptrdiff_t>(reader.first), shares_.end());
      reader.job->Fail({ErrorKind::kNoMemory,
                        std::string("no room for the states of continuations: ") + error.what()});
    }
    reader.count = shares_.size() - reader.first;
  }
  std::erase_if(readers_, [](const Reader& reader) { return reader.job->done(); });
}

// Guesses for the texts of the pass, which are the first shares; beside them it has `rows` rows of
// prompts. Returns how many rows the texts have more than one each.
size_t RunningJobs::PlanGuesses(size_t rows) {
  const size_t texts = text_shares_;
  size_t more = 0;
  for (const Share& share : std::span(shares_).first(texts)) {
    more += std::min(share.sequence->waiting(), share.max_tokens) - 1;
  }
  if (context_.guesses == 0 || texts > kTextsWithGuesses) return more;
  auto expected = static_cast<double>(texts);
  for (size_t i = 0; i < texts; ++i) {
    if (!shares_[i].logits) continue;
    shares_[i].guesses = PlanGuessesOf(*shares_[i].sequence, times_, texts + rows + more, expected);
    more += shares_[i].guesses;
    if (shares_[i].guesses > 0) expected += 1;
  }
  return more;
}

// Logits are needed between the pass and the step only, and take more memory than small states.
void RunningJobs::LendLogits() {
  for (Share& share : shares_) {
    if (!share.logits || spare_logits_.empty()) continue;
    share.sequence->LendLogits(std::move(spare_logits_.back()));
    spare_logits_.pop_back();
  }
}

// Fails the jobs of texts that failed in the pass.
void RunningJobs::FindReady() {
  size_t at = 0;  // shares of texts are in this order
  ready_.clear();
  for (RunningJob& job : jobs_) {
    const size_t before = ready_.size();
    std::optional<Error> error;
    for (JobText& text : job.texts()) {
      if (at < text_shares_ && shares_[at].sequence == &text.sequence) {
        if (shares_[at].error) error = shares_[at].error;
        ++at;
      }
      if (!text.ended && text.sequence.ready()) ready_.push_back({&job, &text});
    }
    if (!error) continue;
    ready_.resize(before);
    job.Fail(*error);
  }
}

void RunningJobs::StepTexts() {
  const auto start = SchedulerClock::now();
  context_.workspace.ForEach(ready_.size(), [&](size_t i) { ready_[i].text->Step(); });
  totals_.sample_s += SecondsSince(start);
  for (const Ready& ready : ready_) {
    spare_logits_.push_back(ready.text->sequence.TakeLogits());
  }
  for (const Ready& ready : ready_) {
    if (ready.job->done()) continue;
    totals_.written_tokens += ready.text->stepped;
    ready.job->AfterStep(*ready.text);
  }
}

// Those that had been written before the pass.
void RunningJobs::EndTexts() {
  for (RunningJob& job : jobs_) {
    if (job.done()) continue;
    for (JobText& text : job.texts()) {
      const bool written = text.text.finish() != Finish::kNone;
      if (written && !text.ended && text.sequence.behind() == 0) job.AfterStep(text);
    }
  }
}

void RunningJobs::RemoveDone() {
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    if (!job->done()) {
      ++job;
      continue;
    }
    Release(job->job());
    totals_.speculation.Add(job->speculation());
    switch (job->outcome()) {
      case RunningJob::Outcome::kFailed:
        ++totals_.failed;
        break;
      case RunningJob::Outcome::kInterrupted:
        ++totals_.cancelled;
        break;
      default:
        ++totals_.done;
    }
    job = jobs_.erase(job);
  }
  const size_t most = std::max<size_t>(texts_, 1);
  if (spare_logits_.size() > most) spare_logits_.resize(most);
  if (jobs_.empty()) score_logits_ = {};
}

void RunningJobs::FailAll(const Error& error) {
  for (RunningJob& job : jobs_) job.Fail(error);
  RemoveDone();
}

const SchedulerStatistics& RunningJobs::statistics() {
  totals_.reading = totals_.writing = 0;
  totals_.state_bytes = 0;
  for (RunningJob& job : jobs_) {
    if (job.reading()) {
      ++totals_.reading;
      totals_.state_bytes += (1 + job.forks()) * state_bytes_;
    }
    for (const JobText& text : job.texts()) {
      totals_.writing += text.ended ? 0 : 1;
      totals_.state_bytes += text.sequence.at().state.bytes();
    }
  }
  return totals_;
}

}  // namespace linnet
