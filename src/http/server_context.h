// ServerContext: what all connections of a server share.
#ifndef LINNET_HTTP_SERVER_CONTEXT_H_
#define LINNET_HTTP_SERVER_CONTEXT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "http/access_log.h"
#include "http/api_keys.h"
#include "http/channel.h"
#include "http/http.h"
#include "http/rate_limits.h"
#include "http/request_rules.h"

namespace linnet {

struct Counters {
  std::atomic<size_t> connections{0}, running{0}, streams{0};
  std::atomic<uint64_t> accepted{0}, refused{0}, requests{0}, gone{0}, cut_off{0}, timed_out{0},
      received{0}, sent{0};
  std::array<std::atomic<uint64_t>, 600> replies{};  // by status
};

// How many connections each address has. Thread-safe.
class PeerCounts {
 public:
  // False, and not counted, if the address has `limit` already.
  bool Add(const std::string& address, size_t limit) {
    const std::lock_guard lock(mutex_);
    size_t& count = counts_[address];
    if (count >= limit) return false;
    ++count;
    return true;
  }
  void Remove(const std::string& address) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(address);
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, size_t> counts_;
};

// What Reload reads again. Immutable; requests and connections keep what they began with.
struct ServerSecrets {
  explicit ServerSecrets(const HttpOptions& options) {
    if (!options.api_keys.empty()) keys.Read(options.api_keys, false);
    if (!options.admin_keys.empty()) keys.Read(options.admin_keys, true);
    if (!options.certificate.empty()) {
      tls = std::make_unique<const TlsContext>(options.certificate, options.private_key);
    }
  }

  ApiKeys keys;
  std::unique_ptr<const TlsContext> tls;  // null: plain
};

struct ServerContext {
  ServerContext(HttpOptions given_options, HttpHandler given_handler)
      : options(std::move(given_options)),
        handler(std::move(given_handler)),
        rules(options),
        rates(options.clock),
        log(options.log_format, options.log),
        secrets_(std::make_shared<const ServerSecrets>(options)) {}

  // Any thread.
  std::shared_ptr<const ServerSecrets> secrets() const {
    const std::lock_guard lock(secrets_mutex_);
    return secrets_;
  }
  void Reload() {
    auto read = std::make_shared<const ServerSecrets>(options);
    const std::lock_guard lock(secrets_mutex_);
    secrets_ = std::move(read);
  }

  const HttpOptions options;
  const HttpHandler handler;
  const RequestRules rules;
  RateLimits rates;
  AccessLog log;
  PeerCounts peers;
  Counters counters;
  std::atomic<size_t> body_bytes{0};  // of all bodies that are being received
  std::atomic<bool> stopping{false};

 private:
  mutable std::mutex secrets_mutex_;
  std::shared_ptr<const ServerSecrets> secrets_;
};

}  // namespace linnet

#endif  // LINNET_HTTP_SERVER_CONTEXT_H_
