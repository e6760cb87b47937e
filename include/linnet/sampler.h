// Sampler: picks the next token from logits.
#ifndef LINNET_SAMPLER_H_
#define LINNET_SAMPLER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "linnet/tokenizer.h"

namespace linnet {

struct Candidates;

enum class PenaltyKind : uint8_t {
  // ChatRWKV: a token seen loses presence + frequency × occurrences; presence
  // never decays, occurrences do.
  kRwkv,
  // Ai00, web-rwkv: one decaying scalar a token, presence when it is first
  // seen, plus frequency each time after.
  kAi00,
};
enum class SamplingOrder : uint8_t {
  kRwkv,    // the cuts judge probabilities at temperature 1, then p^(1/T)
  kOpenAI,  // temperature first
};

// Keeps the surprise of the text, in bits a token, near tau (Basu et al., 2021).
struct Mirostat {
  float tau = 3.0f, rate = 0.1f;
};

// Defaults that suit RWKV chat models (ChatRWKV's API_DEMO_CHAT).
//
// Top-p, top-k and min-p each judge the whole distribution, so their order is
// of no account; typical then judges what they left, as a distribution.
struct SamplerOptions {
  float temperature = 1.0f;  // 0: the most likely token
  float top_p = 0.3f;        // the fewest likeliest that sum to this, ties stay; 0 or 1: off
  int top_k = 0;             // the likeliest, of ties the lowest ids; 0: off
  float min_p = 0.0f;        // at least this share of the likeliest's probability; 0: off
  float typical = 1.0f;      // the fewest nearest the entropy that sum to this; 0 or 1: off
  // Version 2. In place of the cuts, of any temperature but 0 and of the penalties.
  std::optional<Mirostat> mirostat;
  float presence_penalty = 0.5f;
  float frequency_penalty = 0.5f;
  float penalty_decay = 0.996f;  // a token
  PenaltyKind penalty = PenaltyKind::kRwkv;
  SamplingOrder order = SamplingOrder::kRwkv;
  std::map<int32_t, float> logit_bias;  // -infinity bans
  uint64_t seed = 0;
};

// One sequence's sampler: options, penalties so far and a random stream of its
// own, so a seed gives the same text in any company, on any number of threads
// and on any machine. Copyable: a fork continues alike. Not thread-safe.
class Sampler {
 public:
  // With a tokenizer, digits and blanks do not count as occurrences (ChatRWKV's
  // rule, so that numbers and indents may repeat; PenaltyKind::kRwkv only).
  // Throws Error kBadInput if an option is out of its range, naming it.
  explicit Sampler(const SamplerOptions& options,
                   std::shared_ptr<const Tokenizer> tokenizer = nullptr);

  // The next token of logits [V], already counted for the penalties. Ties go to
  // the lowest id; NaN never wins. Throws Error kBadInput if no token has a
  // chance: all are banned, NaN or -infinity.
  int32_t Sample(std::span<const float> logits);

  // Counts a token for the penalties that was not sampled here.
  void Accept(int32_t token);
  void Reset();  // forgets what was seen, not where the random stream is

  const SamplerOptions& options() const { return options_; }

 private:
  int32_t Draw(std::span<const float> logits, Candidates& left);
  void ApplyPenalties(std::span<float> logits) const;
  float& CountOf(int32_t token);
  double Uniform();

  SamplerOptions options_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::array<uint64_t, 4> random_;
  float surprise_limit_ = 0;  // Mirostat's mu, bits
  // Tokens in the order they were first seen: occurrences, or the scalar of kAi00. A token decays
  // them all, so they stand in a row.
  std::vector<int32_t> seen_;
  std::vector<float> counts_;
  std::unordered_map<int32_t, size_t> place_;  // in those two
};

// Finds stop strings in a text that comes in parts. Holds back only what may
// still become one, so what it returns does not depend on how the text is cut.
// Works on bytes: of whole characters in, whole characters come out.
class StopMatcher {
 public:
  // Empty strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  // Text that is certainly not part of a stop string; sets stopped() when one
  // was completed, and drops it and all that follows. Of stop strings that end
  // together the longest counts.
  std::string Push(std::string_view text);
  std::string Finish();  // what was held back
  bool stopped() const { return stopped_; }
  // Bytes held back now: 0 means that all pushed so far is out.
  size_t held() const { return held_.size(); }

 private:
  struct Stop {
    std::string text;
    std::vector<size_t> fallback;  // Knuth-Morris-Pratt
    size_t matched = 0;
  };
  std::vector<Stop> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace linnet

#endif  // LINNET_SAMPLER_H_
