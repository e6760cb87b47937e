// GeneratedText: the step of a sequence that generates: sample, take the token, detect the end.
#ifndef LINNET_ENGINE_GENERATED_TEXT_H_
#define LINNET_ENGINE_GENERATED_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/continuation.h"
#include "engine/job.h"
#include "engine/sequence.h"
#include "grammar/constraint.h"
#include "linnet/tokenizer.h"

namespace linnet {

// Called with each token as soon as it is sampled, and the logits that it was sampled from.
using Sampled = std::function<void(int32_t token, std::span<const float> logits)>;

struct TextOptions {
  ContinuationOptions text{};
  bool want_tokens = false;    // piece().tokens
  bool want_logprobs = false;  // in them
  size_t logprobs = 0;         // the likeliest tokens, in them
  // What the text must match. It ends, as kStop, when nothing can follow; stop ids are only sampled
  // where it may end. So are stop strings: elsewhere they are text like any other.
  std::optional<Constraint> constraint{};
  // Keep the logits too when the text may have to go back behind a stop string. Only needed by who
  // continues the sequence afterwards.
  bool keep_logits = true;
};

// The text that one sequence generates, from the first token after its prompt on. The one step that
// sessions and the scheduler share. Keeps a reference to the tokenizer. Not thread-safe.
class GeneratedText {
 public:
  GeneratedText(const Tokenizer& tokenizer, TextOptions options);

  // Samples a token from sequence.at().logits and feeds it, unless it is a stop id. If it completes
  // a stop string, the sequence goes back to where the text had been returned as a whole, and the
  // rest of the text before the stop string is fed again. Call while finish() is kNone, with a
  // sequence that is ready(). Throws Error kBadInput if no token can be chosen, or if the
  // constraint takes too much work.
  void Step(Sequence& sequence, const Sampled& sampled = {});
  // Ends the text early.
  void Interrupt();

  // What can be shown since the last ClearPiece; valid until the next call that is not const.
  Piece piece() const;
  bool has_piece() const { return !part_.empty() || shown_tokens_ > 0; }
  void ClearPiece();

  Finish finish() const { return text_.finish(); }
  Ending ending() const;
  size_t tokens() const { return text_.tokens(); }  // without a stop id

 private:
  int32_t Sample(Sequence& sequence);
  void FindEnds();
  bool EndsHere(int32_t token);
  void Show(std::string part);
  void Record(int32_t token, size_t begin, std::span<const float> logits);
  void RecordStop(int32_t token, std::span<const float> logits);

  const Tokenizer& tokenizer_;
  TextOptions options_;
  // With a constraint, the tokens that begin a stop string, and of those the ones that complete it.
  std::vector<int32_t> ends_, stops_;
  Continuation text_;
  int32_t stop_id_ = -1;
  std::optional<TokenInfo> stop_info_;
  double logprob_ = 0;
  std::string part_;  // to be shown
  size_t shown_ = 0;  // bytes of the text that were returned, with part_
  // Tokens that were not returned, the first shown_tokens_ of which belong to part_, and the byte
  // of the text at which each begins.
  std::vector<TokenInfo> infos_;
  std::vector<size_t> begins_;
  size_t shown_tokens_ = 0;
  // The last position at which all text was returned, while a stop string may have begun, and the
  // text that was returned since. Cloned only then; its memory is kept for the next time.
  std::optional<Resumption> before_;
  bool holds_ = false;
  std::string since_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_GENERATED_TEXT_H_
