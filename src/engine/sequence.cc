#include "engine/sequence.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/range_check.h"
#include "linnet/error.h"

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

void Sequence::DropWaiting() {
  line_.clear();
  begin_ = 0;
}

size_t Advance(const Model& model, std::span<Sequence* const> sequences, size_t max_tokens,
               Workspace& workspace) {
  std::vector<Turn> turns;
  std::vector<Sequence*> running;
  std::vector<Sequence*> first_logits;  // had no logits before
  size_t tokens = 0;
  for (Sequence* s : sequences) {
    const size_t count = std::min(s->waiting(), max_tokens);
    if (count == 0) continue;
    // The head runs only for the last token fed; no one reads the other logits.
    const bool last = count == s->waiting();
    if (last && s->at_.logits.empty()) {
      first_logits.push_back(s);
      s->at_.logits.resize(model.config().vocab);
    }
    turns.push_back({std::span(s->line_).subspan(s->begin_, count), &s->at_.state,
                     last ? std::span<float>(s->at_.logits) : std::span<float>()});
    running.push_back(s);
    tokens += count;
  }
  if (turns.empty()) return 0;
  const auto drop_all = [&] {
    for (Sequence* s : running) {
      s->DropWaiting();
      s->at_.logits.clear();
    }
  };
  try {
    model.Forward(turns, workspace);
  } catch (const Error&) {  // thrown before anything was written
    for (Sequence* s : first_logits) s->at_.logits.clear();
    throw;
  } catch (...) {  // some passes may have run
    drop_all();
    throw;
  }
  for (const Turn& turn : turns) {
    if (!AllMagnitudesWithin(turn.logits.data(), turn.logits.size(),
                             std::numeric_limits<float>::max())) {
      drop_all();
      throw Error(ErrorKind::kBadModel,
                  model.path().string() +
                      ": its logits are not finite: the weights hold infinities or NaN, or "
                      "activations overflow");
    }
  }
  for (size_t i = 0; i < running.size(); ++i) {
    Sequence* s = running[i];
    s->begin_ += turns[i].tokens.size();
    s->at_.tokens += turns[i].tokens.size();
    if (s->waiting() == 0) {
      s->DropWaiting();
    } else {
      s->at_.logits.clear();  // they belong to an earlier token
    }
  }
  return tokens;
}

}  // namespace linnet
