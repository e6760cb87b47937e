#include "http/rate_limits.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace linnet {
namespace {

// Sums of parts of a whole may miss it by a rounding.
constexpr double kRounding = 1e-9;

std::chrono::seconds SecondsUntil(double missing, size_t per_minute) {
  const double seconds = std::ceil(missing * 60 / static_cast<double>(per_minute) - 1e-6);
  return std::chrono::seconds(static_cast<int64_t>(std::clamp(seconds, 1.0, 86400.0)));
}

}  // namespace

RateLimits::RateLimits(Clock clock)
    : clock_(clock ? std::move(clock) : Clock(std::chrono::steady_clock::now)) {}

RateLimits::Use& RateLimits::Filled(const ApiKey& key) {
  const auto now = clock_();
  const auto requests = static_cast<double>(key.requests_per_minute.value_or(0));
  const auto tokens = static_cast<double>(key.tokens_per_minute.value_or(0));
  const auto [found, is_new] = uses_.try_emplace(key.name, Use{now, requests, tokens, 0});
  Use& use = found->second;
  if (!is_new) {
    const double minutes =
        std::max(0.0, std::chrono::duration<double, std::ratio<60>>(now - use.at).count());
    use.requests = std::min(requests, use.requests + requests * minutes);
    use.tokens = std::min(tokens, use.tokens + tokens * minutes);
    use.at = std::max(use.at, now);
  }
  return use;
}

std::optional<RateLimits::Refused> RateLimits::Begin(const ApiKey& key) {
  const std::lock_guard lock(mutex_);
  Use& use = Filled(key);
  const auto limit = [](size_t amount, const char* what) {
    return "this key may use " + std::to_string(amount) + " " + what;
  };
  if (key.concurrent && use.running >= *key.concurrent) {
    return Refused{limit(*key.concurrent, "requests at the same time, and as many are running"),
                   "requests", std::chrono::seconds(1)};
  }
  if (key.requests_per_minute && use.requests < 1 - kRounding) {
    return Refused{limit(*key.requests_per_minute, "requests a minute"), "requests",
                   SecondsUntil(1 - use.requests, *key.requests_per_minute)};
  }
  if (key.tokens_per_minute && use.tokens <= kRounding) {
    return Refused{limit(*key.tokens_per_minute, "tokens a minute"), "tokens",
                   SecondsUntil(1 - use.tokens, *key.tokens_per_minute)};
  }
  if (key.requests_per_minute) use.requests -= 1;
  ++use.running;
  return std::nullopt;
}

void RateLimits::End(const ApiKey& key) {
  const std::lock_guard lock(mutex_);
  Use& use = Filled(key);
  if (use.running > 0) --use.running;
}

void RateLimits::CountTokens(const ApiKey& key, size_t tokens) {
  const std::lock_guard lock(mutex_);
  Filled(key).tokens -= static_cast<double>(tokens);
}

}  // namespace linnet
