// RequestRules: which hosts, origins, targets and names of requests are accepted.
#ifndef LINNET_HTTP_REQUEST_RULES_H_
#define LINNET_HTTP_REQUEST_RULES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/http.h"
#include "http/request_reader.h"

namespace linnet {

// "%41" becomes "A", and with `plus` "+" a space; nullopt for a bad escape, a NUL or bad UTF-8.
std::optional<std::string> PercentDecoded(std::string_view text, bool plus);

// A body of this content type is text, which must be UTF-8.
bool IsTextType(std::string_view content_type);

// 1 to 128 letters, digits and "-_.:/+=": what may go into logs and replies unchanged.
bool IsSaneId(std::string_view id);

// 32 random hex digits.
std::string NewRequestId();

// W3C Trace Context, "00-" 32 hex "-" 16 hex "-" 2 hex, in lower case and not zero; later versions
// may go on behind.
bool IsTraceparent(std::string_view text);

struct Target {
  std::string path, query;
};
// Of "/path?query", "http://host/path?query" and, for OPTIONS, "*". nullopt if it is none of these,
// or the path is badly encoded.
std::optional<Target> ParseTarget(std::string_view target);

// "example.com:80", "[::1]:80" without the port, in lower case; nullopt if it is no authority.
std::optional<std::string> HostName(std::string_view authority);

// "127.0.0.1", "::1": an address as text; and one that only this machine can reach.
bool IsAddress(std::string_view name);
bool IsLoopbackAddress(std::string_view name);

// Immutable and thread-safe.
class RequestRules {
 public:
  // Throws Error kBadInput for an origin that is none.
  explicit RequestRules(const HttpOptions& options);

  // Checks Host and Origin; `unix_socket`: no browser can be behind, and any Host will do. nullopt:
  // accepted.
  std::optional<Refusal> Check(const RequestHead& head, bool unix_socket) const;
  // The headers of CORS for a reply to this request, each with its line end; empty if CORS is off,
  // or the request has no origin, or another.
  std::string CorsHeaders(const RequestHead& head) const;
  // For the reply to a preflight: OPTIONS with Access-Control-Request-Method of an allowed origin.
  bool IsPreflight(const RequestHead& head) const;
  HttpHeaders PreflightHeaders(const RequestHead& head) const;
  bool IsOpenPath(std::string_view path) const;

 private:
  bool AllowsOrigin(std::string_view origin) const;

  std::vector<std::string> hosts_, origins_, open_paths_;
  bool any_host_ = false, any_origin_ = false;
};

}  // namespace linnet

#endif  // LINNET_HTTP_REQUEST_RULES_H_
