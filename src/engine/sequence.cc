#include "engine/sequence.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/range_check.h"

namespace linnet {

Sequence::Sequence(Snapshot start, Sampler sampler)
    : at_(std::move(start)), sampler_(std::move(sampler)) {}

void Sequence::Feed(std::span<const int32_t> tokens) {
  line_.insert(line_.end(), tokens.begin(), tokens.end());
}

void Sequence::Restore(const Snapshot& snapshot) {
  at_ = snapshot.Clone();
  DropWaiting();
}

void Sequence::CopyTo(std::optional<Snapshot>& to, bool with_logits) const {
  if (to) {
    to->state.CopyFrom(at_.state);
    to->state.set_identity(at_.state.identity());
  } else {
    to.emplace(Snapshot{at_.state.Clone(), {}});
  }
  to->tokens = at_.tokens;
  if (with_logits) to->logits = at_.logits;
}

void Sequence::DropWaiting() {
  line_.clear();
  begin_ = 0;
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
  std::vector<Sequence*> first_logits;  // had no logits before
  turns.reserve(shares.size());
  running.reserve(shares.size());
  for (Share& share : shares) {
    Sequence& s = *share.sequence;
    const size_t count = std::min(s.waiting(), share.max_tokens);
    share.tokens = 0;
    if (count == 0) continue;
    const auto ids = std::span(s.line_).subspan(s.begin_, count);
    // The head runs only for the last token fed; no one reads the other logits.
    std::span<float> logits = share.all_logits;
    if (!logits.empty()) {
      logits = logits.first(count * vocab);
    } else if (share.logits && count == s.waiting()) {
      if (s.at_.logits.empty()) {
        first_logits.push_back(&s);
        s.at_.logits.swap(s.lent_);
        s.at_.logits.resize(vocab);
      }
      logits = s.at_.logits;
    }
    turns.push_back({ids, &s.at_.state, logits, share.hidden_sum});
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
    if (!ChangedNothing(error)) {
      for (Share* share : running) drop(*share->sequence);
    }
    throw;
  } catch (...) {  // some passes may have run
    for (Share* share : running) drop(*share->sequence);
    throw;
  }
  std::vector<char> finite(turns.size());
  workspace.ForEach(turns.size(), [&](size_t i) {
    const auto logits = turns[i].logits;
    finite[i] = AllMagnitudesWithin(logits.data(), logits.size(), std::numeric_limits<float>::max())
                    ? 1
                    : 0;
  });
  size_t tokens = 0;
  for (size_t i = 0; i < running.size(); ++i) {
    Sequence& s = *running[i]->sequence;
    if (finite[i] == 0) {
      drop(s);
      running[i]->error = NotFinite(model);
      continue;
    }
    const size_t count = turns[i].tokens.size();
    running[i]->tokens = count;
    tokens += count;
    s.begin_ += count;
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
