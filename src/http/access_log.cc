#include "http/access_log.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "base/utc_time.h"
#include "http/reply_head.h"

namespace linnet {
namespace {

std::string_view NameOf(RequestEnd end) {
  switch (end) {
    case RequestEnd::kDone:
      return "done";
    case RequestEnd::kGone:
      return "gone";
    case RequestEnd::kCutOff:
      return "cut_off";
    case RequestEnd::kTimedOut:
      return "timed_out";
    case RequestEnd::kStopped:
      return "stopped";
  }
  return "";
}

double Milliseconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

}  // namespace

std::string LogLine(HttpLogFormat format, const LoggedRequest& request,
                    std::chrono::system_clock::time_point time) {
  const std::string_view path = request.path.substr(0, 256);
  if (format == HttpLogFormat::kJson) {
    return fmt::format(
        R"({{"time":"{}","id":{},"peer":{},"key":{},"method":{},"path":{},"status":{},"end":"{}",)"
        R"("bytes_in":{},"bytes_out":{},"first_ms":{:.3f},"ms":{:.3f},"traceparent":{}}})",
        UtcTime(time), JsonString(request.id), JsonString(request.peer), JsonString(request.owner),
        JsonString(request.method), JsonString(path), request.status, NameOf(request.end),
        request.bytes_in, request.bytes_out, Milliseconds(request.first_byte),
        Milliseconds(request.total), JsonString(request.traceparent));
  }
  const auto or_dash = [](std::string_view text) { return text.empty() ? "-" : text; };
  std::string line = fmt::format(
      "{} {} {} {} {} {} {} {} in={} out={} first_ms={:.3f} ms={:.3f}", UtcTime(time),
      or_dash(request.peer), or_dash(request.owner), or_dash(request.id), or_dash(request.method),
      path.empty() ? "-" : JsonString(path), request.status, NameOf(request.end), request.bytes_in,
      request.bytes_out, Milliseconds(request.first_byte), Milliseconds(request.total));
  if (!request.traceparent.empty()) line += fmt::format(" traceparent={}", request.traceparent);
  return line;
}

AccessLog::AccessLog(HttpLogFormat format, std::function<void(std::string_view)> sink)
    : format_(format), sink_(std::move(sink)) {}

void AccessLog::Put(const std::string& line) {
  const std::lock_guard lock(mutex_);
  sink_(line);
}

void AccessLog::Write(const LoggedRequest& request) {
  if (!sink_) return;
  try {
    Put(LogLine(format_, request, std::chrono::system_clock::now()));
  } catch (const std::exception&) {
    // A full disk must not end a connection.
  }
}

void AccessLog::WriteError(std::string_view id, std::string_view message) {
  if (!sink_) return;
  try {
    const std::string time = UtcTime(std::chrono::system_clock::now());
    Put(format_ == HttpLogFormat::kJson
            ? fmt::format(R"({{"time":"{}","id":{},"error":{}}})", time, JsonString(id),
                          JsonString(message))
            : fmt::format("{} {} error {}", time, id, JsonString(message)));
  } catch (const std::exception&) {
    // As above.
  }
}

}  // namespace linnet
