// RateLimits: what each API key has used lately.
#ifndef LINNET_HTTP_RATE_LIMITS_H_
#define LINNET_HTTP_RATE_LIMITS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "http/api_keys.h"

namespace linnet {

// Thread-safe. Requests and tokens are buckets that hold a minute's worth and fill up evenly; a
// request needs one whole request in the one and anything in the other, which computing may
// overdraw. Keys of one name count as one.
class RateLimits {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  // Empty: steady_clock::now.
  explicit RateLimits(Clock clock);

  struct Refused {
    std::string message, type;
    std::chrono::seconds retry_after;  // at least 1
  };
  // nullopt: the request may run, and End is to be called once. A refused one costs nothing.
  std::optional<Refused> Begin(const ApiKey& key);
  void End(const ApiKey& key);
  void CountTokens(const ApiKey& key, size_t tokens);

 private:
  struct Use {
    std::chrono::steady_clock::time_point at;
    double requests = 0, tokens = 0;  // left
    size_t running = 0;
  };
  Use& Filled(const ApiKey& key);

  Clock clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, Use> uses_;
};

}  // namespace linnet

#endif  // LINNET_HTTP_RATE_LIMITS_H_
