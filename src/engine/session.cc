#include "engine/session.h"

#include <algorithm>
#include <utility>

#include "base/stopwatch.h"

namespace linnet {
namespace {

// Enough rows for fast products, few enough to react to an interrupt soon.
constexpr size_t kTokensPerPass = 256;
constexpr int32_t kStartToken = 0;

bool Interrupted(const Watcher& watcher) { return watcher.interrupted && watcher.interrupted(); }

}  // namespace

Session::Session(const Model& model, const Tokenizer& tokenizer, Workspace& workspace,
                 Snapshot start, Sampler sampler)
    : model_(model),
      tokenizer_(tokenizer),
      workspace_(workspace),
      sequence_(std::move(start), std::move(sampler)) {}

void Session::Pass(bool with_guesses) {
  Sequence* const self = &sequence_;
  const size_t rows = std::min(sequence_.waiting(), kTokensPerPass);
  const size_t guesses = with_guesses ? PlanGuessesOf(sequence_, times_, rows, 1) : 0;
  const Stopwatch pass;
  if (guesses == 0) {
    tokens_run_ += Advance(model_, std::span(&self, 1), kTokensPerPass, workspace_);
    times_.Took(rows, pass.Seconds());
    return;
  }
  Share share{.sequence = self, .guesses = guesses};
  tokens_run_ += Advance(model_, std::span(&share, 1), workspace_);
  if (share.error) throw *share.error;
  times_.Took(rows + guesses, pass.Seconds() - sequence_.speculation()->made_s());
}

SpeculationCounts Session::speculation() const {
  const Speculation* speculation = sequence_.speculation();
  return speculation != nullptr ? speculation->counts() : SpeculationCounts{};
}

const Snapshot& Session::Here() {
  sequence_.Settle();
  Read();
  return sequence_.at();
}

bool Session::Read(const Watcher& watcher) {
  const size_t all = sequence_.waiting();
  while (sequence_.waiting() > 0) {
    if (Interrupted(watcher)) {
      sequence_.DropWaiting();
      return false;
    }
    Pass(false);
    if (watcher.fed) watcher.fed(all - sequence_.waiting(), all);
  }
  return true;
}

Written Session::Write(const ContinuationOptions& options, const Watcher& watcher,
                       const std::optional<Constraint>& constraint) {
  Writing writing(*this, options, constraint);
  while (writing.Step(watcher)) {
  }
  return writing.written();
}

Writing::Writing(Session& session, ContinuationOptions options,
                 std::optional<Constraint> constraint)
    : session_(session),
      text_(session.tokenizer_, {.text = std::move(options), .constraint = std::move(constraint)}),
      before_(session.speculation()) {}

bool Writing::Begin(const Watcher& watcher) {
  if (session_.sequence_.waiting() == 0 && !session_.sequence_.ready()) {
    session_.Feed(std::span(&kStartToken, 1));
  }
  written_.prompt_tokens = session_.sequence_.waiting();
  const Stopwatch prompt;
  if (!session_.Read(watcher)) {
    written_.finish = Finish::kInterrupted;
    return false;
  }
  written_.prompt_s = prompt.Seconds();
  written_.finish = text_.finish();  // a limit of 0 tokens
  begun_ = true;
  return written_.finish == Finish::kNone;
}

bool Writing::Step(const Watcher& watcher) {
  if (written_.finish != Finish::kNone || (!begun_ && !Begin(watcher))) return false;
  const Stopwatch decode;
  while (session_.sequence_.waiting() > 0) session_.Pass(true);
  if (Interrupted(watcher)) {
    Interrupt(watcher);
  } else {
    text_.Step(session_.sequence_, watcher.sampled);
    Show(watcher);
    written_.tokens = text_.tokens();
    written_.finish = text_.finish();
    written_.speculation = session_.speculation().Since(before_);
  }
  written_.decode_s += decode.Seconds();
  return true;
}

void Writing::Interrupt(const Watcher& watcher) {
  if (written_.finish != Finish::kNone) return;
  text_.Interrupt();
  Show(watcher);
  written_.finish = Finish::kInterrupted;
}

void Writing::Show(const Watcher& watcher) {
  const std::string_view part = text_.piece().text;
  written_.text += part;
  if (watcher.text && !part.empty()) watcher.text(part);
  text_.ClearPiece();
}

}  // namespace linnet
