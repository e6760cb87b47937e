#include "engine/generated_text.h"

#include <algorithm>
#include <utility>

#include "engine/logprobs.h"

namespace linnet {
namespace {

ContinuationOptions WithoutStops(ContinuationOptions options) {
  options.stops.clear();
  return options;
}

}  // namespace

GeneratedText::GeneratedText(const Tokenizer& tokenizer, TextOptions options)
    : tokenizer_(tokenizer),
      options_(std::move(options)),
      text_(tokenizer, options_.constraint ? WithoutStops(options_.text) : options_.text) {
  if (!options_.constraint) return;
  FindEnds();
  if (options_.constraint->must_end()) text_.Complete();
}

void GeneratedText::FindEnds() {
  for (const std::string& stop : options_.text.stops) {
    const auto [longer, shorter] = options_.constraint->trie().RelativesOf(stop);
    stops_.insert(stops_.end(), longer.begin(), longer.end());
    ends_.insert(ends_.end(), shorter.begin(), shorter.end());
  }
  ends_.insert(ends_.end(), stops_.begin(), stops_.end());
  options_.text.stops.clear();
}

// Whether a token that was sampled is not part of the text, which is complete. A token that only
// begins a stop string may be part of it.
bool GeneratedText::EndsHere(int32_t token) {
  const auto has = [token](const std::vector<int32_t>& ids) {
    return std::find(ids.begin(), ids.end(), token) != ids.end();
  };
  if (!options_.constraint || !has(ends_) || !options_.constraint->may_end()) return false;
  return has(stops_) || !options_.constraint->Allows(token);
}

int32_t GeneratedText::Sample(Sequence& sequence) {
  if (!options_.constraint) return sequence.Sample();
  return sequence.Sample(options_.constraint->Mask(options_.text.stop_ids, ends_));
}

void GeneratedText::Step(Sequence& sequence, const Sampled& sampled) {
  const int32_t token = Sample(sequence);
  if (sampled) sampled(token, sequence.at().logits);
  if (EndsHere(token)) {
    RecordStop(token, sequence.at().logits);
    Show(text_.Complete());
    return sequence.Settle();
  }
  const bool was_clear = text_.clear();
  const size_t was_tokens = text_.tokens(), begin = text_.decoded();
  std::string part = text_.Push(token);
  const bool taken = text_.tokens() > was_tokens;
  if (taken) Record(token, begin, sequence.at().logits);
  if (!taken) RecordStop(token, sequence.at().logits);
  if (taken && options_.constraint) {
    options_.constraint->Accept(token);
    if (options_.constraint->must_end()) part += text_.Complete();
  }
  if (text_.clear() && !text_.stopped_by_text()) {
    holds_ = false;
  } else if (was_clear && !options_.text.stops.empty()) {
    sequence.CopyTo(before_, options_.keep_logits);
    holds_ = true;
    since_.clear();
  }
  if (holds_) since_ += part;
  Show(std::move(part));
  // Before the last token, which is queued as it would be without guesses.
  if (finish() != Finish::kNone) sequence.Settle();
  if (text_.stopped_by_text()) {
    sequence.Restore(*before_);
    sequence.Feed(tokenizer_.Encode(since_));
  } else if (taken) {
    sequence.Take(token);
  }
}

void GeneratedText::Interrupt() {
  if (finish() == Finish::kNone) Show(text_.Interrupt());
}

void GeneratedText::Record(int32_t token, size_t begin, std::span<const float> logits) {
  if (!options_.want_tokens) return;
  if (options_.want_logprobs) {
    infos_.push_back(InfoOf(token, logits, options_.logprobs));
    logprob_ += static_cast<double>(infos_.back().logprob);
  } else {
    infos_.push_back({.id = token});
  }
  begins_.push_back(begin);
}

void GeneratedText::RecordStop(int32_t token, std::span<const float> logits) {
  stop_id_ = token;
  if (options_.want_logprobs) stop_info_ = InfoOf(token, logits, options_.logprobs);
}

void GeneratedText::Show(std::string part) {
  shown_ += part.size();
  if (part_.empty()) {
    part_ = std::move(part);
  } else {
    part_ += part;
  }
  // All that is left at the end belongs to the text, but for a stop string.
  const bool all = finish() != Finish::kNone && !text_.stopped_by_text();
  while (shown_tokens_ < infos_.size() && (all || begins_[shown_tokens_] < shown_)) {
    ++shown_tokens_;
  }
}

Piece GeneratedText::piece() const { return {part_, std::span(infos_).first(shown_tokens_)}; }

void GeneratedText::ClearPiece() {
  part_.clear();
  infos_.erase(infos_.begin(), infos_.begin() + static_cast<ptrdiff_t>(shown_tokens_));
  begins_.erase(begins_.begin(), begins_.begin() + static_cast<ptrdiff_t>(shown_tokens_));
  shown_tokens_ = 0;
}

Ending GeneratedText::ending() const {
  return {.finish = text_.finish(),
          .stop = text_.stopped_by_text() ? text_.stop() : std::string(),
          .stop_id = stop_id_,
          .tokens = text_.tokens(),
          .logprob = logprob_,
          .stop_info = stop_info_};
}

}  // namespace linnet
