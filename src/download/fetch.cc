#include "download/fetch.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "base/lower.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kMostHeaders = 200;  // of one reply

struct FreeHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};
using UrlParts = std::unique_ptr<CURLU, FreeUrl>;

void StartCurl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw Error(ErrorKind::kIo, "libcurl cannot be started");
    }
  });
}

UrlParts Parsed(std::string_view url) {
  UrlParts parts(curl_url());
  if (!parts ||
      curl_url_set(parts.get(), CURLUPART_URL, std::string(url).c_str(), 0) != CURLUE_OK) {
    return nullptr;
  }
  return parts;
}

std::string Part(const UrlParts& url, CURLUPart which) {
  char* text = nullptr;
  if (!url || curl_url_get(url.get(), which, &text, 0) != CURLUE_OK || text == nullptr) return "";
  const std::unique_ptr<char, FreeText> owned(text);
  return text;
}

// libcurl's default is Debian's place; other systems have theirs.
std::string CertificateFile() {
  if (const char* given = std::getenv("SSL_CERT_FILE"); given != nullptr && *given != '\0') {
    return given;
  }
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored)) return file;
  }
  return "";
}

std::string Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1));
}

// What the callbacks of libcurl share. No exception may pass through its frames.
struct Transfer {
  CURL* handle = nullptr;
  const FetchSink* sink = nullptr;
  FetchHead head;
  int replies = 0;  // begun
  bool told = false, wanted = true;
  std::exception_ptr thrown;

  template <class F>
  bool Guard(F&& call) {
    try {
      call();
      return true;
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  }
  // The head is complete, and no other reply follows.
  bool TellHead() {
    if (told) return true;
    told = true;
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    head.status = static_cast<int>(status);
    return Guard([&] { wanted = sink->head(head); });
  }
};

size_t OnHeader(char* data, size_t, size_t bytes, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, bytes);
  const bool kept = transfer.Guard([&] {
    FetchHead& head = transfer.head;
    if (line.starts_with("HTTP/")) {
      const size_t blank = line.find(' ');
      const bool interim = blank != line.npos && line.substr(blank + 1).starts_with('1');
      if (transfer.replies == 1) head.first_headers = std::move(head.headers);
      if (!interim) ++transfer.replies;
      head.headers.clear();
      return;
    }
    const size_t colon = line.find(':');
    if (colon == line.npos || head.headers.size() >= kMostHeaders) return;
    head.headers[Lower(std::string(line.substr(0, colon)))] = Trimmed(line.substr(colon + 1));
  });
  return kept ? bytes : 0;
}

size_t OnBody(char* data, size_t, size_t bytes, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.TellHead() || !transfer.wanted) return 0;
  const bool taken = transfer.Guard(
      [&] { transfer.sink->body(std::as_bytes(std::span<const char>(data, bytes))); });
  return taken ? bytes : 0;
}

int OnTick(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.sink->tick) return 0;
  return transfer.Guard(transfer.sink->tick) ? 0 : 1;
}

FetchEnd EndOf(CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_WEIRD_SERVER_REPLY:
      return FetchEnd::kRefused;
    default:
      return FetchEnd::kBroken;
  }
}

}  // namespace

std::string FetchHead::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::string FetchHead::FirstHeader(const std::string& name) const {
  if (first_headers.empty()) return Header(name);
  const auto found = first_headers.find(name);
  return found == first_headers.end() ? "" : found->second;
}

FetchOutcome Fetch(const FetchRequest& request, const FetchSink& sink) {
  StartCurl();
  const UrlParts url = Parsed(request.url);
  const std::string scheme = Part(url, CURLUPART_SCHEME);
  if (Part(url, CURLUPART_HOST).empty() || (scheme != "https" && scheme != "http")) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: is no http or https address", ShownUrl(request.url)));
  }
  const std::unique_ptr<CURL, FreeHandle> handle(curl_easy_init());
  if (!handle) throw std::bad_alloc();
  Transfer transfer;
  transfer.handle = handle.get();
  transfer.sink = &sink;
  std::array<char, CURL_ERROR_SIZE> message{};
  const auto set = [&](CURLoption option, auto value) {
    curl_easy_setopt(handle.get(), option, value);
  };
  const char *secure = "https", *both = "https,http";
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, both);
  set(CURLOPT_REDIR_PROTOCOLS_STR, scheme == "https" ? secure : both);
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, 10L);
  set(CURLOPT_UNRESTRICTED_AUTH, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, 30L);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, request.patience);
  set(CURLOPT_USERAGENT, "linnet");
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_ERRORBUFFER, message.data());
  set(CURLOPT_HEADERFUNCTION, &OnHeader);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEFUNCTION, &OnBody);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &OnTick);
  set(CURLOPT_XFERINFODATA, &transfer);
  const std::string certificates = CertificateFile();
  if (!certificates.empty()) set(CURLOPT_CAINFO, certificates.c_str());
  if (!request.token.empty() && (scheme == "https" || IsLocalUrl(request.url))) {
    set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    set(CURLOPT_XOAUTH2_BEARER, request.token.c_str());
  }
  curl_slist* headers = nullptr;
  const std::string range = fmt::format("{}-", request.begin);
  if (request.begin > 0) {
    set(CURLOPT_RANGE, range.c_str());
    if (!request.if_range.empty()) {
      headers = curl_slist_append(headers, ("If-Range: " + request.if_range).c_str());
      set(CURLOPT_HTTPHEADER, headers);
    }
  }
  const CURLcode code = curl_easy_perform(handle.get());
  curl_slist_free_all(headers);
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  if (transfer.told && !transfer.wanted) return {};
  if (code != CURLE_OK) {
    const std::string reason = message[0] != '\0' ? message.data() : curl_easy_strerror(code);
    return {EndOf(code), reason};
  }
  if (!transfer.TellHead()) std::rethrow_exception(transfer.thrown);  // a reply without a body
  return {};
}

FetchedText FetchText(const FetchRequest& request, size_t limit, int tries,
                      const std::function<void(int)>& pause, const std::function<void()>& tick) {
  for (int attempt = 1;; ++attempt) {
    FetchedText fetched;
    const FetchSink sink{
        [&](const FetchHead& head) {
          fetched.head = head;
          return head.status == 200;
        },
        [&](std::span<const std::byte> bytes) {
          if (fetched.text.size() + bytes.size() > limit) {
            throw Error(ErrorKind::kIo, fmt::format("{}: sends more than {} bytes, which no list "
                                                    "of files needs",
                                                    ShownUrl(request.url), limit));
          }
          fetched.text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        },
        tick};
    const FetchOutcome outcome = Fetch(request, sink);
    const int status = fetched.head.status;
    if (outcome.end == FetchEnd::kWhole && status == 200) return fetched;
    const bool broken = outcome.end != FetchEnd::kWhole;
    if (attempt < tries && (broken ? outcome.end == FetchEnd::kBroken : IsPassing(status))) {
      pause(1 << std::min(attempt - 1, 5));
      continue;
    }
    throw Error(ErrorKind::kIo, fmt::format("{}: {}", ShownUrl(request.url),
                                            broken ? outcome.reason : StatusText(status)));
  }
}

std::string StatusText(int status) {
  switch (status) {
    case 401:
    case 403:
      return fmt::format("{}, not allowed without a token that may read it", status);
    case 404:
      return "404, not found";
    case 429:
      return "429, too many requests; try again later";
    default:
      return fmt::format("the server answers {}", status);
  }
}

bool IsPassing(int status) { return status == 408 || status == 429 || status >= 500; }

std::string ShownUrl(std::string_view url) {
  std::string shown(url.substr(0, url.find_first_of("?#")));
  const size_t host = shown.find("://");
  if (host != shown.npos) {
    const size_t path = std::min(shown.find('/', host + 3), shown.size());
    const size_t at = shown.rfind('@', path);
    if (at != shown.npos && at > host) shown.erase(host + 3, at + 1 - (host + 3));
  }
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) <= ' ') c = '?';
  }
  return shown.substr(0, 300);
}

std::string PercentEncoded(std::string_view text, std::string_view also) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain || also.find(c) != also.npos) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", byte);
    }
  }
  return encoded;
}

bool IsLocalUrl(std::string_view url) {
  const std::string host = Part(Parsed(url), CURLUPART_HOST);
  return host == "localhost" || host.ends_with(".localhost") || host == "[::1]" ||
         host.starts_with("127.");
}

}  // namespace linnet
