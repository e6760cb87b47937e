#include "engine/speculation.h"

#include <algorithm>
#include <utility>

#include "engine/sequence.h"

namespace linnet {
namespace {

constexpr double kDecay = 0.9;    // of a record, a check
constexpr size_t kTryAgain = 32;  // offers that are declined between two tries
constexpr size_t kTried = 2;      // guesses of such a try
constexpr size_t kMissesToLoseTrack = 3;
// Tokens since the last state. With more, the pass is to give a new state, without guesses.
constexpr size_t kMostSince = 24;
constexpr double kHopeful = 0.9;
constexpr size_t kMostInARow = 32;  // passes with drafts, before one without is timed again
constexpr size_t kMostDrafts = 8;   // each takes a pass of the draft model

std::span<const int32_t> UpTo(std::span<const int32_t> tokens, size_t begin, size_t count) {
  if (begin >= tokens.size()) return {};
  return tokens.subspan(begin, std::min(count, tokens.size() - begin));
}

}  // namespace

Speculation::Speculation(SpeculationOptions options, size_t vocab)
    : options_(std::move(options)), vocab_(vocab), predicted_(SIZE_MAX) {
  for (const int32_t id : options_.prediction) {
    if (id < 0 || static_cast<size_t>(id) >= vocab_) break;
    predicted_.Push(id);
  }
  options_.prediction = {};
  if (options_.draft != nullptr) draft_ = std::make_unique<DraftModel>(options_.draft);
}

void Speculation::Read(std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) text_.Push(token);
  if (draft_) draft_->Read(tokens);
}

void Speculation::Wrote(int32_t token) {
  Read(std::span(&token, 1));
  const auto prediction = predicted_.tokens();
  if (prediction.empty()) return;
  // One token that differs stands for one of the prediction. After several the text is looked for
  // in the rest of the prediction.
  missed_ = place_ < prediction.size() && prediction[place_] == token ? 0 : missed_ + 1;
  ++place_;
  if (missed_ == 0) return;
  const auto found = predicted_.AfterFrom(text_.tokens(), place_ - std::min(place_, missed_));
  if (found && (missed_ > 1 || place_ >= prediction.size())) {
    place_ = *found;
    missed_ = 0;
  }
}

GuessOffer Speculation::Look(size_t room) {
  guesses_.clear();
  room = std::min({room, options_.most, kMostGuesses});
  if (room == 0) return {};
  std::span<const int32_t> found;
  source_ = kPrediction;
  if (missed_ < kMissesToLoseTrack) found = UpTo(predicted_.tokens(), place_, room);
  if (found.empty()) {
    source_ = kHistory;
    if (const auto place = text_.After(text_.tokens())) found = UpTo(text_.tokens(), *place, room);
  }
  guesses_.assign(found.begin(), found.end());
  GuessOffer offer{.guesses = guesses_.size()};
  if (guesses_.empty() && draft_) {
    source_ = kDraft;
    offer = {.guesses = std::min(room, kMostDrafts), .guess_s = draft_->guess_s()};
  }
  if (offer.guesses == 0) return {};
  Record& record = records_[source_];
  offer.acceptance = record.rate();
  for (size_t i = 0; i < chances_.size(); ++i) chances_[i] = record.chance(i);
  offer.each = chances_;
  if (++record.skipped > kTryAgain) {
    offer.guesses = std::min(kTried, offer.guesses);
    offer.acceptance = std::max(offer.acceptance, kHopeful);
    offer.each = {};
  }
  return offer;
}

std::span<const int32_t> Speculation::Make(size_t count, const Sampler& sampler,
                                           Workspace& workspace) {
  made_s_ = 0;
  if (source_ == kDraft && count > 0) {
    guesses_ = draft_->Guess(count, sampler, workspace);
    made_s_ = draft_->took_s();
  }
  if (guesses_.size() > count) guesses_.resize(count);
  return guesses_;
}

size_t Speculation::Planned(size_t guesses) {
  if (source_ != kDraft) return guesses;
  in_a_row_ = guesses > 0 ? in_a_row_ + 1 : 0;
  if (in_a_row_ <= most_in_a_row_) return guesses;
  in_a_row_ = 0;
  most_in_a_row_ = std::min(most_in_a_row_ * 2, kMostInARow);
  return 0;
}

void Speculation::Checked(size_t guessed, size_t accepted) {
  if (guessed == 0) return;
  Record& record = records_[source_];
  record.right = record.right * kDecay + static_cast<double>(accepted);
  record.wrong = record.wrong * kDecay + (accepted < guessed ? 1 : 0);
  for (size_t i = 0; i < kMostGuesses; ++i) {
    record.tried[i] = record.tried[i] * kDecay + (i < guessed && i <= accepted ? 1 : 0);
    record.held[i] = record.held[i] * kDecay + (i < accepted ? 1 : 0);
  }
  record.skipped = 0;
  ++counts_.passes;
  counts_.guessed += guessed;
  counts_.accepted += accepted;
}

size_t PlanGuessesOf(Sequence& sequence, const PassTimes& times, size_t rows, double texts) {
  Speculation* const speculation = sequence.speculation();
  if (speculation == nullptr || sequence.waiting() == 0 || sequence.waiting() > kMostSince)
    return 0;
  GuessOffer offer = speculation->Look(Speculation::kMostGuesses);
  offer.back_s = sequence.back_s();
  if (speculation->always()) return offer.guesses;
  return speculation->Planned(times.Guesses(rows, texts, offer));
}

}  // namespace linnet
