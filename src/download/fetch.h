// Fetch: one GET over HTTP or HTTPS, by libcurl, with redirects and limits.
#ifndef LINNET_DOWNLOAD_FETCH_H_
#define LINNET_DOWNLOAD_FETCH_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace linnet {

struct FetchRequest {
  std::string url;     // http:// or https://
  std::string token;   // sent as a bearer token to the host of `url`, not to those it redirects to
  uint64_t begin = 0;  // not 0: asks for the bytes from there on
  std::string if_range;  // with `begin`: only if the file still has this ETag
  // Seconds without a byte after which the connection counts as broken.
  long patience = 60;
};

// The last reply's status and headers. Names are in lower case.
struct FetchHead {
  int status = 0;
  std::map<std::string, std::string> headers;
  // Of the reply before the first redirect; empty if there was none.
  std::map<std::string, std::string> first_headers;

  std::string Header(const std::string& name) const;
  // Of the first reply.
  std::string FirstHeader(const std::string& name) const;
};

// All are called on the caller's thread. What they throw ends the transfer, and Fetch throws it.
struct FetchSink {
  // Before the body of the last reply. False: the body is not wanted.
  std::function<bool(const FetchHead&)> head;
  std::function<void(std::span<const std::byte>)> body;
  // A few times a second, also while nothing arrives; may be empty.
  std::function<void()> tick;
};

enum class FetchEnd : uint8_t {
  kWhole,    // the reply is complete, or its body was not wanted
  kBroken,   // the connection failed or broke off: another try may help
  kRefused,  // another try will not help: bad certificate, too many redirects, odd protocol
};

struct FetchOutcome {
  FetchEnd end = FetchEnd::kWhole;
  std::string reason;  // if it is not whole
};

// Follows up to 10 redirects, from https to https only. Proxies are those of the environment
// (https_proxy, no_proxy), the certificates OpenSSL's, or those of SSL_CERT_FILE. A token is never
// sent unencrypted, except to this machine. Throws Error kBadInput for a URL that is none. Any
// thread.
FetchOutcome Fetch(const FetchRequest& request, const FetchSink& sink);

// The reply's body as text. Throws Error kIo if there is none within `limit` bytes, or another
// status than 200; `what` begins the message. Tries `tries` times and calls `pause` with a number
// of seconds in between.
struct FetchedText {
  FetchHead head;
  std::string text;
};
FetchedText FetchText(const FetchRequest& request, size_t limit, int tries,
                      const std::function<void(int)>& pause, const std::function<void()>& tick);

// The error of a reply with this status, for messages: "404: not found". `url` without its query.
std::string StatusText(int status);
// Another try may help: 408, 429, 5xx.
bool IsPassing(int status);

// A URL without what may be secret in it: user, password, query and fragment.
std::string ShownUrl(std::string_view url);
// Percent-encodes all but letters, digits, "-._~" and those in `also`.
std::string PercentEncoded(std::string_view text, std::string_view also = "");
// Whether the host of the URL is this machine.
bool IsLocalUrl(std::string_view url);

}  // namespace linnet

#endif  // LINNET_DOWNLOAD_FETCH_H_
