#include "engine/draft_model.h"

#include <utility>

#include "base/stopwatch.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kFewRows = 8;  // whose pass takes about as long as that of one

}  // namespace

DraftModel::DraftModel(std::shared_ptr<const Model> model)
    : model_(std::move(model)), state_(model_->NewState()), ahead_(model_->NewState()) {}

void DraftModel::Read(std::span<const int32_t> tokens) {
  unread_.insert(unread_.end(), tokens.begin(), tokens.end());
}

std::vector<int32_t> DraftModel::Guess(size_t count, const Sampler& sampler, Workspace& workspace) {
  std::vector<int32_t> guesses;
  const Stopwatch all;
  const size_t vocab = model_->config().vocab;
  // A prompt, or what was written while there were no guesses, is read once, so it says nothing of
  // what the next guesses take.
  const bool behind = unread_.size() > kFewRows;
  Stopwatch own;
  if (!unread_.empty()) {
    logits_.resize(vocab);
    model_->Forward({unread_, &state_, logits_}, workspace);
    unread_.clear();
    if (behind) own = Stopwatch();
  }
  if (logits_.empty()) return guesses;
  Sampler draws = sampler;
  try {
    guesses.push_back(draws.Sample(logits_));
    if (count > 1) {
      ahead_.CopyFrom(state_);
      ahead_logits_.resize(vocab);
    }
    while (guesses.size() < count) {
      model_->Forward({std::span(&guesses.back(), 1), &ahead_, ahead_logits_}, workspace);
      guesses.push_back(draws.Sample(ahead_logits_));
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput) throw;  // only a pass without a token to draw
  }
  took_s_ = all.Seconds();
  const size_t passes = behind ? count - 1 : count;
  if (passes == 0) return guesses;
  const double seconds = own.Seconds() / static_cast<double>(passes);
  guess_s_ += (guess_s_ == 0 ? 1 : 0.1) * (seconds - guess_s_);
  return guesses;
}

}  // namespace linnet
