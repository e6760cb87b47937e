// Job: what a scheduler generates for one caller; Listener: how the caller gets it.
#ifndef LINNET_ENGINE_JOB_H_
#define LINNET_ENGINE_JOB_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/continuation.h"
#include "engine/pooling.h"
#include "engine/sequence.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "linnet/sampler.h"

namespace linnet {

class Grammar;  // grammar/grammar.h

// A token of a text. Log-probabilities are natural, of the model's own distribution: temperature 1,
// before penalties, bias, filters and grammars. They are computed only if Job::want_logprobs, or of
// a prompt if Job::score_prompt; otherwise `logprob` is 0 and `top` is empty. The first token of a
// prompt that starts a text has no probability: NaN.
struct TokenInfo {
  int32_t id = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top{};  // Job::logprobs tokens, the likeliest first
};

// A part of a generated text: whole UTF-8 characters, never part of a stop string. `tokens` are
// those whose text begins in this part; only the last piece of a text may have tokens and no text.
struct Piece {
  std::string_view text;
  std::span<const TokenInfo> tokens;
};

struct Ending {
  Finish finish = Finish::kNone;
  std::string stop{};                    // the stop string that ended the text; empty if none did
  int32_t stop_id = -1;                  // the id that did
  size_t tokens = 0;                     // of the text, including a stop string, without a stop id
  double logprob = 0;                    // the sum over those tokens, if Job::want_logprobs
  std::optional<TokenInfo> stop_info{};  // of stop_id, if Job::want_logprobs
  SpeculationCounts speculation{};
};

// How likely the model finds a continuation after the prompt.
struct ContinuationScore {
  double logprob = 0;  // the sum over its tokens, in their order; 0 for an empty one
  bool greedy = true;  // each token is the likeliest at its place, the first of equal ones
  std::vector<TokenInfo> tokens{};
};

struct PromptRead {
  size_t tokens = 0;  // of the prompt
  size_t cached = 0;  // of them, not read because a cached state had them
  // Of them, those up to the last place after which a state is in the cache now; at least `cached`.
  size_t kept = 0;
};

// Gets the results of a job. All functions are called on the scheduler's thread, one at a time and
// in the order below. They must not block, since all sequences wait meanwhile; they may call
// Scheduler::Submit and Cancel. What one throws cancels its job. Exactly one of OnDone and OnError
// is called, and it is the last call.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void OnStart() {}  // the job left the queue
  // The position after Job::state_at tokens of the prompt, with logits if these are all and the
  // model predicts tokens.
  virtual void OnPromptState(const Snapshot&) {}
  // The log-probabilities of the prompt's tokens, in order, in several calls, between which
  // OnPromptState may come.
  virtual void OnPromptTokens(std::span<const TokenInfo>) {}
  virtual void OnPrompt(const PromptRead&) {}          // the whole prompt was read
  virtual void OnEmbedding(std::span<const float>) {}  // [C], not normalized
  // Of each of Job::continuations, in any order.
  virtual void OnContinuation(size_t /*index*/, const ContinuationScore&) {}
  virtual void OnPiece(size_t /*choice*/, const Piece&) {}
  // With Job::want_text_state, before OnEnd of a choice that has begun: the position after those of
  // its tokens that were run, and the others, which lead to the end of its text.
  virtual void OnTextState(size_t /*choice*/, const Snapshot&, std::span<const int32_t> /*rest*/) {}
  // Of each choice, in any order.
  virtual void OnEnd(size_t /*choice*/, const Ending&) {}
  virtual void OnDone() {}
  virtual void OnError(const Error&) {}
};

struct Job {
  // The whole text so far, from its start. Empty: token 0, which starts a text, unless `start` has
  // logits.
  std::vector<int32_t> prompt{};
  // Continue from here; the prompt follows it. The cache is used only if `start_key` tells this
  // start from all others, as a digest of its state does.
  std::shared_ptr<const Snapshot> start{};
  std::string start_key{};
  // Of this job only; texts in the cache had the same one. Of the scheduler's model.
  std::shared_ptr<const TurnAdapter> adapter{};
  // Numbers of the prompt's tokens after which a state is kept in the cache, ascending: the ends of
  // messages. Others are ignored.
  std::vector<size_t> marks{};
  ContinuationOptions text{};  // with max_tokens 0 the prompt is only read
  SamplerOptions sampler{};
  // Choice i samples with seed + i, as a job of its own with that seed would. The prompt is read
  // once.
  size_t choices = 1;
  // What the text must match, and the end of the prompt that the match starts with. A text that
  // ends by itself is a whole match.
  std::shared_ptr<const Grammar> grammar{};
  std::string grammar_prefix{};
  // What the text may turn out to be: guesses, by which it is generated faster where it is right.
  std::vector<int32_t> prediction{};
  bool want_logprobs = false;
  size_t logprobs = 0;        // how many of the likeliest tokens to tell at each place
  bool score_prompt = false;  // the log-probabilities of the prompt's tokens
  // The mean of the prompt's rows of the last hidden state, normalized as the head reads it.
  bool embed = false;
  Pooling pooling = Pooling::kMean;  // of which rows
  // Instead of a text: how likely each of these is after the prompt. The prompt is read once, or
  // taken from the cache; then some of them at a time go on from its state, in passes with all
  // other jobs. The bits are those of Model::Forward over prompt and continuation. `text`,
  // `sampler` and `grammar` are not used, `choices` is 1, and one OnEnd (kLength) follows the last
  // score.
  std::vector<std::vector<int32_t>> continuations{};
  // The number of the prompt's tokens after which the listener gets the state; at least 1.
  std::optional<size_t> state_at{};
  bool want_text_state = false;
  std::string owner{};      // key of fairness and of the cache
  bool use_cache = true;    // neither look up nor keep states otherwise
  bool background = false;  // run only while no other job is waiting or running
  // A job that has not begun to write by then fails with kBusy; a text is ended as kInterrupted.
  std::optional<std::chrono::steady_clock::time_point> deadline{};
};

// The sequences whose states a job has in memory at once: choices, or continuations that are read
// at a time.
size_t PlacesOf(const Job& job);
// All tokens that it brings along.
size_t TokenCountOf(const Job& job);
// The owner of the job's texts in the cache: of those from another start another one.
std::string CacheOwner(const Job& job);

// The `count` choices with the largest mean log-probability of a token, the best first; among equal
// ones the first. A text without tokens has mean 0.
std::vector<size_t> BestChoices(std::span<const Ending> choices, size_t count);

}  // namespace linnet

#endif  // LINNET_ENGINE_JOB_H_
