// Sampler: picks the next token from logits.
#ifndef LINNET_SAMPLER_H_
#define LINNET_SAMPLER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linnet {

enum class PenaltyKind : uint8_t {
  kRwkv,  // presence never decays, occurrences do (ChatRWKV)
  kAi00,  // one decaying scalar a token (Ai00, web-rwkv)
};
enum class SamplingOrder : uint8_t {
  kRwkv,    // top-p and the other cuts on probabilities at temperature 1, then p^(1/T)
  kOpenAI,  // temperature first
};

struct Mirostat {
  float tau = 3.0f, rate = 0.1f;
};

// Defaults that suit RWKV chat models (ChatRWKV's API_DEMO_CHAT).
struct SamplerOptions {
  float temperature = 1.0f;  // 0: the most likely token
  float top_p = 0.3f;        // 0 or 1: off
  int top_k = 0;             // 0: off
  float min_p = 0.0f;        // 0: off
  float typical = 1.0f;      // 1: off
  std::optional<Mirostat> mirostat;  // v2; replaces the cuts above
  float presence_penalty = 0.5f;
  float frequency_penalty = 0.5f;
  float penalty_decay = 0.996f;
  PenaltyKind penalty = PenaltyKind::kRwkv;
  SamplingOrder order = SamplingOrder::kRwkv;
  std::map<int32_t, float> logit_bias;  // -infinity bans
  uint64_t seed = 0;
};

// One sequence's sampler: options, penalties so far and a random stream of its
// own, so a seed gives the same text in any company and on any number of
// threads. Copyable: a fork continues alike. Not thread-safe.
class Sampler {
 public:
  // Throws Error kBadInput if an option is out of its range, naming it.
  explicit Sampler(const SamplerOptions& options);

  // Logits [V] are read only. Ties go to the lowest id; NaN never wins.
  int32_t Sample(std::span<const float> logits);

  // Counts a token for the penalties without sampling it. `weight` 0 is the
  // reference's rule for digits and blanks.
  void Accept(int32_t token, float weight = 1.0f);
  void Reset();  // forgets penalties, not the random stream

 private:
  SamplerOptions options_;
  uint64_t random_[4];
  float mirostat_limit_ = 0;
  std::unordered_map<int32_t, float> penalties_;
  std::vector<std::pair<float, int32_t>> scratch_;
};

// Finds stop strings across token boundaries. Holds back only what may still
// become a stop string.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);

  // Text that is certainly not part of a stop string; sets stopped() when one
  // was completed, and drops it and all that follows.
  std::string Push(std::string_view text);
  std::string Finish();  // what was held back
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace linnet

#endif  // LINNET_SAMPLER_H_
