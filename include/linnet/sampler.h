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
  // ChatRWKV: the logit of a seen token is reduced by presence + frequency × occurrences. Presence
  // does not decay, occurrences do.
  kRwkv,
  // Ai00, web-rwkv: one decaying scalar per token. Presence is added the first time the token is
  // seen, frequency each time after.
  kAi00,
};
enum class SamplingOrder : uint8_t {
  kRwkv,    // filters use probabilities at temperature 1, then p^(1/T)
  kOpenAI,  // temperature first
};

// Keeps the surprise of the text, in bits per token, near tau (Basu et al., 2021).
struct Mirostat {
  float tau = 3.0f, rate = 0.1f;
};

// Defaults that suit RWKV chat models (ChatRWKV's API_DEMO_CHAT).
//
// Top-p, top-k and min-p each look at the whole distribution, so their order does not matter.
// Typical sampling then runs on the renormalized rest.
struct SamplerOptions {
  float temperature = 1.0f;  // 0: the most likely token
  float top_p = 0.3f;        // the smallest top set that sums to this, with ties; 0 or 1: off
  int top_k = 0;             // the most likely tokens, lowest ids first among ties; 0: off
  float min_p = 0.0f;        // at least this fraction of the largest probability; 0: off
  float typical = 1.0f;      // the tokens nearest the entropy that sum to this; 0 or 1: off
  // Version 2. Replaces the filters, the penalties and any temperature except 0.
  std::optional<Mirostat> mirostat;
  float presence_penalty = 0.5f;
  float frequency_penalty = 0.5f;
  float penalty_decay = 0.996f;  // per token
  PenaltyKind penalty = PenaltyKind::kRwkv;
  SamplingOrder order = SamplingOrder::kRwkv;
  std::map<int32_t, float> logit_bias;  // -infinity bans the token
  uint64_t seed = 0;
};

// The sampler of one sequence: options, penalties so far and its own random stream. A seed gives
// the same text for any batch, any number of threads and any machine. Copyable: a copy continues
// with the same tokens. Not thread-safe.
class Sampler {
 public:
  // With a tokenizer, digits and blanks do not count as occurrences (ChatRWKV's rule, so that
  // numbers and indents may repeat; PenaltyKind::kRwkv only). Throws Error kBadInput naming the
  // option that is out of range.
  explicit Sampler(const SamplerOptions& options,
                   std::shared_ptr<const Tokenizer> tokenizer = nullptr);

  // Samples the next token from logits [V] and counts it for the penalties. Ties go to the lowest
  // id; NaN is never chosen. Throws Error kBadInput if no token can be chosen: all are banned, NaN
  // or -infinity.
  int32_t Sample(std::span<const float> logits);
  // The same with only the tokens whose bit in `allowed` is set: bit id % 64 of word id / 64. Ids
  // past its end are not allowed. The distribution is that of logits of -infinity for all others.
  int32_t Sample(std::span<const float> logits, std::span<const uint64_t> allowed);

  // Counts a token for the penalties that was not sampled here.
  void Accept(int32_t token);
  void Reset();  // clears the penalties, not the random stream

  const SamplerOptions& options() const { return options_; }

 private:
  int32_t SampleFrom(std::span<const float> logits);
  int32_t Draw(std::span<const float> logits, Candidates& left);
  void ApplyPenalties(std::span<float> logits) const;
  float& CountOf(int32_t token);
  double Uniform();

  SamplerOptions options_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::array<uint64_t, 4> random_;
  float surprise_limit_ = 0;  // Mirostat's mu, bits
  // Tokens in the order they were first seen, with their occurrences or the scalar of kAi00. Every
  // token decays all of them, so they are stored contiguously.
  std::vector<int32_t> seen_;
  std::vector<float> counts_;
  std::unordered_map<int32_t, size_t> place_;  // index into those two
};

// Finds stop strings in a text that arrives in parts. Holds back only what may still become a stop
// string, so the output does not depend on how the text is split. Works on bytes: if the input is
// whole characters, so is the output.
class StopMatcher {
 public:
  // Empty strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  // Returns text that cannot be part of a stop string. When a stop string is complete, sets
  // stopped() and drops it and all text after it. Of stop strings that end at the same byte the
  // longest counts.
  std::string Push(std::string_view text);
  std::string Finish();  // what was held back
  bool stopped() const { return stopped_; }
  const std::string& stop() const { return stop_; }  // the complete stop string
  // Bytes held back now; 0 means that all text pushed so far was returned.
  size_t held() const { return held_.size(); }

 private:
  struct Stop {
    std::string text;
    std::vector<size_t> fallback;  // Knuth-Morris-Pratt
    size_t matched = 0;
  };
  std::vector<Stop> stops_;
  std::string held_, stop_;
  bool stopped_ = false;
};

}  // namespace linnet

#endif  // LINNET_SAMPLER_H_
