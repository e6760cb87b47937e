#include "http/reply_head.h"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

#include "base/is_utf8.h"
#include "http/request_rules.h"

namespace linnet {
namespace {

bool IsHeaderName(std::string_view name) {
  return !name.empty() && name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyz0123456789-_"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string_view::npos;
}

void AppendDate(std::string& out) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  fmt::format_to(std::back_inserter(out), "Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n",
                 kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                 utc.tm_hour, utc.tm_min, utc.tm_sec);
}

}  // namespace

std::string_view StatusName(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
  }
  return "Unknown";
}

bool HasBody(int status) { return status >= 200 && status != 204 && status != 304; }

std::string FormatHead(const ReplyHead& head) {
  std::string out;
  out.reserve(512);
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", head.status,
                 StatusName(head.status));
  AppendDate(out);
  if (!head.content_type.empty() && HasBody(head.status)) {
    fmt::format_to(std::back_inserter(out), "Content-Type: {}\r\n", head.content_type);
  }
  if (head.length) {
    if (HasBody(head.status)) {
      fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", *head.length);
    }
  } else {
    if (!head.http_10) out += "Transfer-Encoding: chunked\r\n";
    // Proxies that collect a stream before they pass it on are told not to.
    out += "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n";
  }
  if (!head.keep_alive) {
    out += "Connection: close\r\n";
  } else if (head.http_10) {
    out += "Connection: keep-alive\r\n";
  }
  if (!head.request_id.empty()) {
    fmt::format_to(std::back_inserter(out), "x-request-id: {}\r\n", head.request_id);
  }
  out += "X-Content-Type-Options: nosniff\r\n";
  out += head.cors;
  if (head.more != nullptr) {
    for (const auto& [name, value] : *head.more) {
      if (!IsHeaderName(name)) continue;
      out += name;
      out += ": ";
      for (const char c : value) {
        if (static_cast<unsigned char>(c) >= ' ' && c != '\x7f') out += c;
      }
      out += "\r\n";
    }
  }
  out += "\r\n";
  return out;
}

void AppendChunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", bytes.size());
  out += bytes;
  out += "\r\n";
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == '\x7f') {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    } else if (static_cast<unsigned char>(c) < 0x80) {
      out += c;
    } else {
      size_t size = 2;
      while (size <= 4 && !IsUtf8(text.substr(i, size))) ++size;
      if (size <= 4 && i + size <= text.size()) {
        out += text.substr(i, size);
        i += size - 1;
      } else {
        out += "\xEF\xBF\xBD";
      }
    }
  }
  return out += '"';
}

std::string_view ErrorTypeOf(int status) {
  switch (status) {
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "service_unavailable_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string HttpErrorBody(std::string_view message, std::string_view type, std::string_view code) {
  return fmt::format(R"({{"error":{{"message":{},"type":{},"param":null,"code":{}}}}})",
                     JsonString(message), JsonString(type),
                     code.empty() ? "null" : JsonString(code));
}

}  // namespace linnet
