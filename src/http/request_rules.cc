#include "http/request_rules.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "base/is_utf8.h"
#include "base/lower.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsLowerHex(std::string_view text) {
  return text.find_first_not_of(kHexDigits) == std::string_view::npos;
}

bool IsWordChar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsLoopbackName(std::string_view name) {
  return name == "localhost" || name == "localhost." || name.ends_with(".localhost");
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// What a message may repeat of a request.
std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, 100)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown;
}

}  // namespace

std::optional<std::string> PercentDecoded(std::string_view text, bool plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = HexValue(text[i + 1]), low = HexValue(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (plus && c == '+') {
      c = ' ';
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  if (!IsUtf8(decoded)) return std::nullopt;
  return decoded;
}

bool IsTextType(std::string_view content_type) {
  const std::string type =
      Lower(std::string(Trimmed(content_type.substr(0, content_type.find(';')))));
  return type.empty() || type.starts_with("text/") || type.ends_with("/json") ||
         type.ends_with("+json") || type == "application/x-ndjson" ||
         type == "application/x-www-form-urlencoded";
}

bool IsSaneId(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
    return IsWordChar(c) || std::string_view("-_.:/+=").find(c) != std::string_view::npos;
  });
}

std::string NewRequestId() {
  std::array<unsigned char, 16> bytes;
  LINNET_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
  std::string id;
  id.reserve(32);
  for (const unsigned char byte : bytes) {
    id += kHexDigits[byte >> 4];
    id += kHexDigits[byte & 15];
  }
  return id;
}

bool IsTraceparent(std::string_view text) {
  if (text.size() < 55 || text.size() > 256) return false;
  const std::string_view version = text.substr(0, 2), trace = text.substr(3, 32),
                         parent = text.substr(36, 16), flags = text.substr(53, 2);
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  if (!IsLowerHex(version) || !IsLowerHex(trace) || !IsLowerHex(parent) || !IsLowerHex(flags)) {
    return false;
  }
  if (version == "ff" || (version == "00" && text.size() != 55)) return false;
  if (text.size() > 55 && (text[55] != '-' || !IsSaneId(text.substr(55)))) return false;
  return trace.find_first_not_of('0') != std::string_view::npos &&
         parent.find_first_not_of('0') != std::string_view::npos;
}

std::optional<Target> ParseTarget(std::string_view target) {
  if (target == "*") return Target{"*", ""};
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!Lower(std::string(target.substr(0, scheme.size()))).starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t path = target.find_first_of("/?");
    if (path == std::string_view::npos) return Target{"/", ""};
    target.remove_prefix(path);
    if (target.front() == '?') return Target{"/", std::string(target.substr(1))};
    break;
  }
  if (!target.starts_with('/') || target.find('#') != std::string_view::npos) return std::nullopt;
  const size_t question = target.find('?');
  auto path = PercentDecoded(target.substr(0, question), false);
  if (!path) return std::nullopt;
  Target parsed{std::move(*path), ""};
  if (question != std::string_view::npos) parsed.query = target.substr(question + 1);
  return parsed;
}

std::optional<std::string> HostName(std::string_view authority) {
  std::string_view name = authority, port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    name = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!IsAddress(name)) return std::nullopt;
  } else {
    const size_t colon = authority.find(':');
    name = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
    const bool sane = std::all_of(name.begin(), name.end(), [](char c) {
      return IsWordChar(c) || c == '-' || c == '_' || c == '.';
    });
    if (!sane) return std::nullopt;
  }
  if (name.empty() || name.size() > 255) return std::nullopt;
  if (!port.empty()) {
    if (port.front() != ':' || port.size() > 6) return std::nullopt;
    port.remove_prefix(1);
    if (port.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  }
  return Lower(std::string(name));
}

bool IsAddress(std::string_view name) {
  const std::string text(name);
  in6_addr address;
  return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool IsLoopbackAddress(std::string_view name) {
  const std::string text(name);
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1) return false;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

RequestRules::RequestRules(const HttpOptions& options) : open_paths_(options.open_paths) {
  for (const std::string& host : options.allowed_hosts) {
    if (host == "*") any_host_ = true;
    // With or without a port, which does not count.
    const auto name = HostName(host);
    if (host != "*" && !name && !IsAddress(host)) {
      throw Error(ErrorKind::kBadInput, "allowed host \"" + Shown(host) + "\" is no host name");
    }
    if (name) hosts_.push_back(*name);
  }
  if (!options.host.empty()) hosts_.push_back(Lower(options.host));
  std::array<char, HOST_NAME_MAX + 1> own{};
  if (gethostname(own.data(), own.size() - 1) == 0 && own[0] != '\0') {
    hosts_.push_back(Lower(own.data()));
  }
  for (const std::string& origin : options.cors_origins) {
    if (origin == "*") {
      any_origin_ = true;
      continue;
    }
    const size_t scheme = origin.find("://");
    if (origin != "null" && (scheme == std::string::npos || scheme == 0 ||
                             origin.find_first_of("/ ,", scheme + 3) != std::string::npos)) {
      throw Error(ErrorKind::kBadInput, "origin \"" + Shown(origin) +
                                            "\" is not of the form https://example.com, "
                                            "without a path");
    }
    origins_.push_back(Lower(origin));
  }
}

bool RequestRules::AllowsOrigin(std::string_view origin) const {
  if (origin.empty()) return false;
  return any_origin_ ||
         std::find(origins_.begin(), origins_.end(), Lower(std::string(origin))) != origins_.end();
}

std::optional<Refusal> RequestRules::Check(const RequestHead& head, bool unix_socket) const {
  const std::string_view host = head.Header("host");
  if (head.Count("host") > 1 || (head.Count("host") == 0 && !head.http_10)) {
    return Refusal{400, "a request of HTTP/1.1 has exactly one header Host", "bad_host"};
  }
  // A page of a name that was made to point here sends that name: DNS rebinding.
  if (!unix_socket && head.Count("host") > 0 && !any_host_) {
    const auto name = HostName(host);
    if (!name) return Refusal{400, "the header Host is no host name", "bad_host"};
    if (!IsAddress(*name) && !IsLoopbackName(*name) &&
        std::find(hosts_.begin(), hosts_.end(), *name) == hosts_.end()) {
      return Refusal{403,
                     "this server is not known as " + Shown(*name) +
                         "; add the name to its allowed hosts if it is meant",
                     "host_not_allowed"};
    }
  }
  // Browsers say which page a request comes from. Without CORS only pages of this server count.
  const std::string_view origin = head.Header("origin");
  if (head.Count("origin") > 1) return Refusal{400, "there is more than one header Origin", ""};
  if (!origin.empty() && !AllowsOrigin(origin)) {
    const std::string lower = Lower(std::string(origin)), own = Lower(std::string(host));
    if (lower != "http://" + own && lower != "https://" + own) {
      return Refusal{403,
                     "pages of " + Shown(origin) +
                         " may not use this server; add that origin to its CORS origins if it is "
                         "meant",
                     "origin_not_allowed"};
    }
  }
  return std::nullopt;
}

std::string RequestRules::CorsHeaders(const RequestHead& head) const {
  if (!any_origin_ && origins_.empty()) return {};
  std::string headers = any_origin_ ? "" : "Vary: Origin\r\n";
  const std::string_view origin = head.Header("origin");
  if (!AllowsOrigin(origin)) return headers;
  headers += "Access-Control-Allow-Origin: ";
  headers += any_origin_ ? std::string_view("*") : origin;
  headers += "\r\nAccess-Control-Expose-Headers: x-request-id, retry-after\r\n";
  return headers;
}

bool RequestRules::IsPreflight(const RequestHead& head) const {
  return head.method == "OPTIONS" && AllowsOrigin(head.Header("origin")) &&
         !head.Header("access-control-request-method").empty();
}

HttpHeaders RequestRules::PreflightHeaders(const RequestHead& head) const {
  HttpHeaders headers = {{"Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"},
                         {"Access-Control-Max-Age", "600"}};
  // Clients' packages send headers of their own, so all those asked for are allowed.
  const std::string_view asked = head.Header("access-control-request-headers");
  const bool sane = std::all_of(asked.begin(), asked.end(), [](char c) {
    return IsWordChar(c) || c == '-' || c == '_' || c == ',' || c == ' ';
  });
  if (sane && !asked.empty()) headers.emplace_back("Access-Control-Allow-Headers", asked);
  if (head.Header("access-control-request-private-network") == "true") {
    headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  }
  return headers;
}

bool RequestRules::IsOpenPath(std::string_view path) const {
  return std::find(open_paths_.begin(), open_paths_.end(), path) != open_paths_.end();
}

}  // namespace linnet
