// AccessLog: one line for each request that was answered, refused or given up.
#ifndef LINNET_HTTP_ACCESS_LOG_H_
#define LINNET_HTTP_ACCESS_LOG_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "http/http.h"

namespace linnet {

// How a request ended.
enum class RequestEnd { kDone, kGone, kCutOff, kTimedOut, kStopped };

struct LoggedRequest {
  std::string_view id, peer, owner;
  std::string_view method, path;  // as sent, but the path without its query; empty if unreadable
  int status = 0;                 // 0: none was sent
  RequestEnd end = RequestEnd::kDone;
  size_t bytes_in = 0, bytes_out = 0;
  std::chrono::microseconds first_byte{0}, total{0};  // since the request was received
  std::string_view traceparent;
};

std::string LogLine(HttpLogFormat format, const LoggedRequest& request,
                    std::chrono::system_clock::time_point time);

// Thread-safe.
class AccessLog {
 public:
  AccessLog(HttpLogFormat format, std::function<void(std::string_view)> sink);
  // Never throws.
  void Write(const LoggedRequest& request);
  // What went wrong inside; clients are not told.
  void WriteError(std::string_view id, std::string_view message);

 private:
  void Put(const std::string& line);

  const HttpLogFormat format_;
  const std::function<void(std::string_view)> sink_;
  std::mutex mutex_;
};

}  // namespace linnet

#endif  // LINNET_HTTP_ACCESS_LOG_H_
