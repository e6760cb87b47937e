#include "engine/sequence.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/stopwatch.h"
#include "kernels/range_check.h"

namespace linnet {
namespace {

bool AreFinite(std::span<const float> logits) {
  return AllMagnitudesWithin(logits.data(), logits.size(), std::numeric_limits<float>::max());
}

}  // namespace

Sequence::Sequence(Snapshot start, Sampler sampler)
    : at_(std::move(start)), sampler_(std::move(sampler)) {}

void Sequence::Speculate(SpeculationOptions options, size_t vocab) {
  Settle();
  speculation_ =
      options.most > 0 ? std::make_unique<Speculation>(std::move(options), vocab) : nullptr;
}

void Sequence::Feed(std::span<const int32_t> tokens) {
  Settle();
  line_.insert(line_.end(), tokens.begin(), tokens.end());
  if (speculation_) speculation_->Read(tokens);
}

void Sequence::Take(int32_t token) {
  if (speculation_) speculation_->Wrote(token);
  if (TakesGuess(token)) return;
  Settle();
  line_.push_back(token);
}

bool Sequence::TakesGuess(int32_t token) {
  if (!unchecked() || guesses_[taken_] != token) return false;
  const size_t vocab = at_.logits.size();
  const auto row = std::span<const float>(guess_logits_).subspan((taken_ + 1) * vocab, vocab);
  // If they are not finite, the pass in which the token is none of a guess says so.
  if (!AreFinite(row)) return false;
  ++taken_;
  ++at_.tokens;
  since_.push_back(token);
  at_.logits.assign(row.begin(), row.end());
  if (taken_ == guesses_.size()) DropGuesses();  // the state is that of the text
  return true;
}

void Sequence::DropGuesses() {
  if (unchecked()) speculation_->Checked(guesses_.size(), taken_);
  guesses_.clear();
  since_.clear();
  taken_ = 0;
}

// Memory for guesses is large, and many sequences that once had some may have none for long.
void Sequence::FreeGuesses() {
  guess_logits_ = {};
  log_ = {};
  before_.reset();
}

void Sequence::Settle() {
  if (!unchecked()) return;
  std::swap(at_.state, *before_);
  if (at_.state.past() == nullptr) {
    const Stopwatch replay;
    log_.Replay(at_.state.values(), since_.size());
    const double each = replay.Seconds() / static_cast<double>(since_.size());
    back_s_ += 0.25 * (each - back_s_);
    at_.state.set_identity(before_->identity());
    DropGuesses();
    return;
  }
  at_.tokens = before_tokens_;
  at_.logits.clear();
  line_.assign(since_.begin(), since_.end());
  begin_ = 0;
  behind_ = since_.size();
  DropGuesses();
}

std::optional<double> Sequence::back_s() const {
  if (at_.state.past() != nullptr) return std::nullopt;
  return back_s_;
}

void Sequence::Restore(const Snapshot& snapshot) {
  DropGuesses();
  at_ = snapshot.Clone();
  DropWaiting();
}

void Sequence::Restore(const Resumption& resumption) {
  Restore(resumption.at);
  line_ = resumption.then;
  behind_ = line_.size();
}

void Sequence::CopyTo(std::optional<Resumption>& to, bool with_logits) const {
  const State& state = unchecked() ? *before_ : at_.state;
  if (to) {
    to->at.state.CopyFrom(state);
    to->at.state.set_identity(state.identity());
  } else {
    to.emplace(Resumption{{state.Clone(), {}}});
  }
  to->at.tokens = unchecked() ? before_tokens_ : at_.tokens;
  to->at.logits.clear();
  to->then.clear();
  if (unchecked()) {
    to->then = since_;
  } else if (with_logits) {
    to->at.logits = at_.logits;
  }
}

size_t Sequence::AddGuesses(size_t most, size_t vocab, Workspace& workspace) {
  if (most == 0 || !speculation_) return 0;
  std::span<const int32_t> guesses;
  try {
    guesses = speculation_->Make(most, sampler_, workspace);
  } catch (const Error&) {  // the draft model fails, which is no failure of the text
  }
  if (guesses.empty()) return 0;
  if (before_) {
    before_->CopyFrom(at_.state);
    before_->set_identity(at_.state.identity());
  } else {
    before_.emplace(at_.state.Clone());
  }
  log_.Clear();
  before_tokens_ = at_.tokens;
  since_.assign(line_.begin() + static_cast<ptrdiff_t>(begin_), line_.end());
  line_.insert(line_.end(), guesses.begin(), guesses.end());
  guess_logits_.resize((1 + guesses.size()) * vocab);
  return guesses.size();
}

// The pass with `count` guesses has run.
void Sequence::FoundGuesses(size_t count, size_t vocab) {
  guesses_.assign(line_.end() - static_cast<ptrdiff_t>(count), line_.end());
  taken_ = 0;
  DropWaiting();
  if (at_.logits.empty()) at_.logits.swap(lent_);
  at_.logits.assign(guess_logits_.begin(), guess_logits_.begin() + static_cast<ptrdiff_t>(vocab));
}

void Sequence::DropWaiting() {
  line_.clear();
  begin_ = 0;
  behind_ = 0;
}

namespace {

// Forward throws these before it has changed anything.
bool ChangedNothing(const Error& error) {
  return error.kind() == ErrorKind::kBadInput || error.kind() == ErrorKind::kNoMemory;
}

Error NotFinite(const Model& model) {
  return {ErrorKind::kBadModel,
          model.path().string() +
              ": its logits are not finite: the weights hold infinities or NaN, or activations "
              "overflow"};
}

}  // namespace

// Runs all shares, or throws what Forward throws. A share whose logits are not finite gets an
// error. The sequences that failed are invalid, unless ChangedNothing.
size_t RunShares(const Model& model, std::span<Share> shares, Workspace& workspace) {
  const size_t vocab = model.config().vocab;
  std::vector<Turn> turns;
  std::vector<Share*> running;
  std::vector<size_t> guesses;          // of these shares
  std::vector<Sequence*> first_logits;  // had no logits before
  turns.reserve(shares.size());
  running.reserve(shares.size());
  for (Share& share : shares) {
    Sequence& s = *share.sequence;
    s.Settle();
    size_t count = std::min(s.waiting(), share.max_tokens);
    share.tokens = share.guessed = 0;
    if (count == 0) continue;
    size_t guessed = 0;
    if (share.logits && share.all_logits.empty() && share.hidden_sum.empty() &&
        count == s.waiting()) {
      guessed = s.AddGuesses(share.guesses, vocab, workspace);
      count += guessed;
    }
    if (guessed == 0) s.FreeGuesses();
    guesses.push_back(guessed);
    const auto ids = std::span(s.line_).subspan(s.begin_, count);
    // The head runs only for the last token fed; no one reads the other logits.
    std::span<float> logits = share.all_logits;
    if (guessed > 0) {
      logits = s.guess_logits_;
    } else if (!logits.empty()) {
      logits = logits.first(count * vocab);
    } else if (share.logits && count == s.waiting()) {
      if (s.at_.logits.empty()) {
        first_logits.push_back(&s);
        s.at_.logits.swap(s.lent_);
        s.at_.logits.resize(vocab);
      }
      logits = s.at_.logits;
    }
    turns.push_back({.tokens = ids,
                     .state = &s.at_.state,
                     .logits = logits,
                     .hidden_sum = share.hidden_sum,
                     .hidden_weights = share.hidden_weights,
                     .adapter = s.adapter_,
                     .log = guessed > 0 && s.at_.state.past() == nullptr ? &s.log_ : nullptr});
    running.push_back(&share);
  }
  if (turns.empty()) return 0;
  const auto drop = [](Sequence& s) {
    s.DropWaiting();
    s.at_.logits.clear();
  };
  try {
    model.Forward(turns, workspace);
  } catch (const Error& error) {
    for (Sequence* s : first_logits) s->at_.logits.clear();
    for (size_t i = 0; i < running.size(); ++i) {
      Sequence& s = *running[i]->sequence;
      if (ChangedNothing(error)) {
        s.line_.resize(s.line_.size() - guesses[i]);
      } else {
        drop(s);
      }
    }
    throw;
  } catch (...) {  // some passes may have run
    for (Share* share : running) drop(*share->sequence);
    throw;
  }
  std::vector<char> finite(turns.size());
  workspace.ForEach(turns.size(), [&](size_t i) {
    const auto logits = turns[i].logits;
    finite[i] = AreFinite(guesses[i] > 0 ? logits.first(vocab) : logits) ? 1 : 0;
  });
  size_t tokens = 0;
  for (size_t i = 0; i < running.size(); ++i) {
    Sequence& s = *running[i]->sequence;
    if (finite[i] == 0) {
      drop(s);
      running[i]->error = NotFinite(model);
      continue;
    }
    const size_t count = turns[i].tokens.size() - guesses[i];
    running[i]->tokens = count;
    running[i]->guessed = guesses[i];
    tokens += count;
    if (guesses[i] > 0) {
      s.at_.tokens += count;
      s.FoundGuesses(guesses[i], vocab);
      continue;
    }
    s.begin_ += count;
    s.behind_ -= std::min(s.behind_, count);
    s.at_.tokens += count;
    const bool last = s.waiting() == 0;
    if (last) s.DropWaiting();
    if (!last || !running[i]->logits) {
      s.at_.logits.clear();  // they belong to an earlier token
    } else if (!running[i]->all_logits.empty()) {
      const auto row = turns[i].logits.last(vocab);
      if (s.at_.logits.empty()) s.at_.logits.swap(s.lent_);
      s.at_.logits.assign(row.begin(), row.end());
    }
  }
  return tokens;
}

size_t Advance(const Model& model, std::span<Sequence* const> sequences, size_t max_tokens,
               Workspace& workspace) {
  std::vector<Share> shares;
  shares.reserve(sequences.size());
  for (Sequence* s : sequences) shares.push_back({.sequence = s, .max_tokens = max_tokens});
  const size_t tokens = RunShares(model, shares, workspace);
  for (const Share& share : shares) {
    if (share.error) throw *share.error;
  }
  return tokens;
}

size_t Advance(const Model& model, std::span<Share> shares, Workspace& workspace) {
  try {
    return RunShares(model, shares, workspace);
  } catch (const Error& error) {
    if (!ChangedNothing(error)) {
      for (Share& share : shares) share.error = error;
      return 0;
    }
  }
  // There may be no room for guesses.
  for (Share& share : shares) share.guesses = 0;
  // Since bits do not depend on company, each can run alone.
  size_t tokens = 0;
  for (Share& share : shares) {
    try {
      tokens += RunShares(model, std::span(&share, 1), workspace);
    } catch (const Error& error) {
      share.sequence->DropWaiting();
      share.sequence->TakeLogits();
      share.error = error;
    }
  }
  return tokens;
}

}  // namespace linnet
