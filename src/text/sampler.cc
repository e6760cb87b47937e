#include "linnet/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "linnet/error.h"
#include "text/candidates.h"

namespace linnet {
namespace {

void Check(bool good, const char* option, double value, const char* wanted) {
  if (good) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{} {} is out of range, expected {}", option, value, wanted));
}

void CheckShare(const char* option, float value) {
  Check(value >= 0 && value <= 1, option, static_cast<double>(value), "0 to 1");
}

void CheckOptions(const SamplerOptions& o) {
  Check(o.temperature >= 0 && std::isfinite(o.temperature), "temperature",
        static_cast<double>(o.temperature), "0 or more");
  CheckShare("top-p", o.top_p);
  Check(o.top_k >= 0, "top-k", o.top_k, "0 or more");
  CheckShare("min-p", o.min_p);
  CheckShare("typical", o.typical);
  if (o.mirostat) {
    Check(o.mirostat->tau > 0 && std::isfinite(o.mirostat->tau), "mirostat tau",
          static_cast<double>(o.mirostat->tau), "more than 0");
    Check(o.mirostat->rate >= 0 && std::isfinite(o.mirostat->rate), "mirostat rate",
          static_cast<double>(o.mirostat->rate), "0 or more");
  }
  Check(std::isfinite(o.presence_penalty), "presence penalty",
        static_cast<double>(o.presence_penalty), "a number");
  Check(std::isfinite(o.frequency_penalty), "frequency penalty",
        static_cast<double>(o.frequency_penalty), "a number");
  CheckShare("penalty decay", o.penalty_decay);
  for (const auto& [id, bias] : o.logit_bias) {
    Check(id >= 0, "logit bias for token", id, "0 or more");
    Check(!std::isnan(bias) && bias < std::numeric_limits<float>::infinity(), "logit bias",
          static_cast<double>(bias), "a number or -infinity");
  }
}

// splitmix64 (Steele, Lea and Flood, 2014), which seeds xoshiro.
uint64_t SplitMix(uint64_t& state) {
  uint64_t z = state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

// In ChatRWKV a token is not counted if its text consists only of these.
bool IsDigitOrBlank(std::string_view bytes) {
  return std::string_view(" \t0123456789").find(bytes) != std::string_view::npos;
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options, std::shared_ptr<const Tokenizer> tokenizer)
    : options_(options), tokenizer_(std::move(tokenizer)) {
  CheckOptions(options_);
  uint64_t state = options_.seed;
  for (uint64_t& word : random_) word = SplitMix(state);
  Reset();
}

void Sampler::Reset() {
  seen_.clear();
  counts_.clear();
  place_.clear();
  if (options_.mirostat) surprise_limit_ = 2 * options_.mirostat->tau;
}

// xoshiro256** 1.0 (Blackman and Vigna, 2018); 53 bits of it, in [0, 1).
double Sampler::Uniform() {
  auto& s = random_;
  const uint64_t result = std::rotl(s[1] * 5, 7) * 9;
  const uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return static_cast<double>(result >> 11) * 0x1p-53;
}

float& Sampler::CountOf(int32_t token) {
  const auto [at, fresh] = place_.emplace(token, counts_.size());
  if (fresh) {
    seen_.push_back(token);
    counts_.push_back(0);
  }
  return counts_[at->second];
}

void Sampler::Accept(int32_t token) {
  if (options_.presence_penalty == 0 && options_.frequency_penalty == 0) return;
  for (float& count : counts_) {
    const float decayed = count * options_.penalty_decay;
    // Arithmetic on denormals is slow.
    count = std::abs(decayed) >= std::numeric_limits<float>::min() ? decayed : 0.0f;
  }
  float& count = CountOf(token);
  if (options_.penalty == PenaltyKind::kAi00) {
    count = count == 0 ? options_.presence_penalty : count + options_.frequency_penalty;
    return;
  }
  const bool counts = tokenizer_ == nullptr || !IsDigitOrBlank(tokenizer_->Bytes(token));
  count += counts ? 1.0f : 0.0f;  // entered in any case, for the presence penalty
}

void Sampler::ApplyPenalties(std::span<float> logits) const {
  for (size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i] < 0 || static_cast<size_t>(seen_[i]) >= logits.size()) continue;
    logits[static_cast<size_t>(seen_[i])] -=
        options_.penalty == PenaltyKind::kAi00
            ? counts_[i]
            : options_.presence_penalty + counts_[i] * options_.frequency_penalty;
  }
}

int32_t Sampler::Sample(std::span<const float> logits) { return SampleFrom(logits); }

int32_t Sampler::Sample(std::span<const float> logits, std::span<const uint64_t> allowed) {
  thread_local std::vector<float> masked;
  if (masked.size() < logits.size()) masked.resize(logits.size());
  constexpr float kBanned = -std::numeric_limits<float>::infinity();
  for (size_t begin = 0; begin < logits.size(); begin += 64) {
    const uint64_t bits = begin / 64 < allowed.size() ? allowed[begin / 64] : 0;
    const size_t end = std::min(begin + 64, logits.size());
    if (bits == 0) {
      std::fill(masked.begin() + begin, masked.begin() + end, kBanned);
    } else {
      for (size_t i = begin; i < end; ++i) {
        masked[i] = (bits >> (i - begin) & 1) != 0 ? logits[i] : kBanned;
      }
    }
  }
  return SampleFrom(std::span(masked).first(logits.size()));
}

int32_t Sampler::SampleFrom(std::span<const float> logits) {
  // Per thread, not per sampler: their size depends only on the vocabulary.
  thread_local Candidates left;
  thread_local std::vector<float> kept;
  if ((seen_.empty() || options_.mirostat) && options_.logit_bias.empty()) {
    const int32_t token = Draw(logits, left);
    Accept(token);
    return token;
  }
  // Usually no copy is needed after the weights are computed, so they overwrite it.
  std::vector<float>& biased = NeedsLogits(options_) ? kept : left.weight;
  if (biased.size() < logits.size()) biased.resize(logits.size());
  std::copy(logits.begin(), logits.end(), biased.begin());
  const std::span<float> row = std::span(biased).first(logits.size());
  if (!options_.mirostat) ApplyPenalties(row);
  for (const auto& [id, bias] : options_.logit_bias) {
    if (static_cast<size_t>(id) < row.size()) row[static_cast<size_t>(id)] += bias;
  }
  const int32_t token = Draw(row, left);
  Accept(token);
  return token;
}

int32_t Sampler::Draw(std::span<const float> logits, Candidates& left) {
  const float largest = Largest(logits);
  if (largest == -std::numeric_limits<float>::infinity()) {
    throw Error(ErrorKind::kBadInput,
                "no token can be sampled: all are banned, or the logits are not numbers");
  }
  const bool one = options_.top_k == 1 && !options_.mirostat;
  if (options_.temperature == 0 || one || std::isinf(largest)) {
    return ArgMax(logits);
  }
  if (options_.mirostat) {
    // Cut where the surprise -log2 p passes the limit, and keep one more.
    Weigh(logits, largest, 1.0f, 0, left);
    Compact(left);
    const double floor = left.sum * std::exp2(-static_cast<double>(surprise_limit_));
    const auto end = left.weight.begin() + static_cast<ptrdiff_t>(left.size);
    const auto within = std::count_if(left.weight.begin(), end, [&](float weight) {
      return static_cast<double>(weight) >= floor;
    });
    FilterTopK(static_cast<size_t>(within) + 1, left);
  } else {
    Distribution(options_, logits, largest, left);
  }
  const auto [drawn, sum] = DrawAt(Uniform(), left);
  if (options_.mirostat) {
    const auto [tau, rate] = *options_.mirostat;
    const auto surprise =
        static_cast<float>(std::log2(sum / static_cast<double>(left.weight[drawn])));
    surprise_limit_ = std::min(surprise_limit_ - rate * (surprise - tau), 4 * tau);
  }
  return left.token(drawn);
}

}  // namespace linnet
