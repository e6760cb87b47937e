// HttpServer: HTTP/1.1 over TCP, TLS and Unix sockets for handlers that answer whenever they can.
//
// The transport reads and checks a whole request (limits, Host, Origin, API key, rates), gives it
// to the handler, and writes what any thread puts into the HttpReply. It knows nothing of models.
#ifndef LINNET_HTTP_HTTP_H_
#define LINNET_HTTP_HTTP_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;   // "GET", "POST", …; HEAD arrives as GET, and its reply's body is not sent
  std::string path;     // percent-decoded, valid UTF-8, begins with '/'
  std::string query;    // without '?', as it was sent
  std::string body;     // whole; UTF-8 unless its content type says that it is binary
  HttpHeaders headers;  // names in lower case, in the order of the request
  std::string id;       // x-request-id if the client sent a sane one, else made; also in the reply
  std::string peer;     // "127.0.0.1:50123", "[::1]:50123" or "unix"
  std::string owner;    // name of the API key; empty without keys
  std::string traceparent;                         // of W3C Trace Context, empty unless it is valid
  bool admin = false;                              // the key is one of HttpOptions::admin_keys
  std::chrono::steady_clock::time_point received;  // when the last byte arrived

  // The first header of that name (in lower case), or "".
  std::string_view Header(std::string_view name) const;
  // The decoded value of a parameter of the query; nullopt if it is absent or badly encoded.
  std::optional<std::string> QueryValue(std::string_view name) const;
};

// The answer to one request: one Send, or BeginStream, Write ..., End. All functions may be called
// by any thread, also after the client left (then they do nothing), never block and never throw.
// A reply that is dropped before its end is answered with 500, or cut off if it had begun.
class HttpReply {
 public:
  virtual ~HttpReply() = default;

  // Content-Length, Date, x-request-id and the headers of CORS are added.
  virtual void Send(int status, std::string body,
                    std::string_view content_type = "application/json",
                    HttpHeaders headers = {}) = 0;
  // Sends the head. A stream of "text/event-stream" gets a comment `: ping` whenever nothing was
  // written for HttpLimits::ping_time.
  virtual void BeginStream(int status, std::string_view content_type, HttpHeaders headers = {}) = 0;
  // Whole events or lines: a ping may come between two chunks. A client that has more than
  // HttpLimits::unsent_bytes to read when the next chunk comes is cut off (gone).
  virtual void Write(std::string chunk) = 0;
  virtual void End() = 0;

  // The client left, or was cut off, before End.
  virtual bool gone() const = 0;
  // `call` runs once if the client is gone before End: on an I/O thread, or at once if it is gone
  // already. It must not block. Replaces an earlier one; dropped at End.
  virtual void OnGone(std::function<void()> call) = 0;

  // Charges the key's tokens_per_minute: what the request has computed. A key whose budget is spent
  // gets 429 for later requests.
  virtual void CountTokens(size_t tokens) = 0;
};

// Runs on an I/O thread and must not block for long: it hands work over and returns. What it throws
// is answered with 500.
using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<HttpReply>)>;

// What one client can cost. A zero time means no limit of time.
struct HttpLimits {
  size_t header_bytes = 32 << 10;       // 431
  size_t body_bytes = 16 << 20;         // 413
  size_t all_bodies_bytes = 512 << 20;  // of all requests that are being received: 503
  size_t unsent_bytes = 256 << 10;      // of one stream (Write)
  size_t connections = 4096;            // 503; lowered to what the system's limit of files allows
  size_t connections_per_peer = 1024;   // by IP address (IPv6: /64), not for Unix sockets: 429
  std::chrono::milliseconds header_time{10'000};  // TLS handshake and head: 408
  std::chrono::milliseconds body_time{120'000};   // 408
  std::chrono::milliseconds idle_time{75'000};    // between two requests: closed
  std::chrono::milliseconds write_time{30'000};   // without a byte taken by the client: cut off
  std::chrono::milliseconds ping_time{15'000};
  std::chrono::milliseconds linger_time{5'000};  // reading on after an early error reply
};

// A request that the transport refuses.
struct HttpRefusal {
  int status;
  std::string_view target;         // as it was sent, with its query; empty if it could not be read
  std::string_view message, type;  // OpenAI's word for the status, or of a rate
  std::string_view code;           // may be empty
  std::string_view request_id;
};

enum class HttpLogFormat { kText, kJson };

struct HttpOptions {
  std::string host = "127.0.0.1";     // name or address; empty: no TCP
  uint16_t port = 8080;               // 0: any free one, see HttpServer::port
  std::filesystem::path unix_socket;  // empty: none; created with mode 0600, removed at the end
  // Sockets that listen already, such as a service manager's: they replace `host`, `port` and
  // `unix_socket`, and the server closes them.
  std::vector<int> inherited;
  std::filesystem::path certificate;  // PEM, leaf first; with `private_key`: TLS >= 1.2 on TCP
  std::filesystem::path private_key;
  std::filesystem::path api_keys;    // key file, see docs/serving.md; empty: no keys are asked
  std::filesystem::path admin_keys;  // key file; these keys may do what others may and more
  bool allow_open = false;           // without keys on addresses other than loopback
  // Names by which clients may call the server (header Host) beside loopback names, IP addresses,
  // `host` and the machine's own name; "*": any.
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> cors_origins;  // "https://example.com", or "*"; empty: CORS is off
  std::vector<std::string> open_paths = {"/health", "/ready"};  // need no key, count as no request
  // The JSON of a refusal, in the form that its path's clients know. Empty: HttpErrorBody. Called
  // by I/O threads.
  std::function<std::string(const HttpRefusal&)> error_body;
  HttpLimits limits;
  size_t threads = 2;
  HttpLogFormat log_format = HttpLogFormat::kText;
  // One line a request, without line feed, never a body, query or key. Called by one thread at a
  // time; must not block for long. Empty: no log.
  std::function<void(std::string_view)> log;
  // Of the rates of keys, for tests; empty: steady_clock::now.
  std::function<std::chrono::steady_clock::time_point()> clock;
};

struct HttpStatistics {
  size_t connections = 0;       // open now
  size_t requests_running = 0;  // given to the handler, not yet ended
  size_t streams = 0;           // of these, begun by BeginStream
  uint64_t connections_accepted = 0;
  uint64_t connections_refused = 0;  // over a limit of connections
  uint64_t requests = 0;
  std::map<int, uint64_t> replies;  // by status; refused requests too
  uint64_t gone = 0;                // clients that left before the end
  uint64_t cut_off = 0;             // of these, slow readers
  uint64_t timed_out = 0;           // heads and bodies that came too slowly
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
};

class HttpServer {
 public:
  // Reads the key files and the certificate and listens. Raises the soft limit of open files as far
  // as `limits.connections` needs. Throws Error kIo if an address, a socket or a file cannot be
  // used, kBadInput for options that contradict each other, a bad key file, and an address other
  // than loopback without keys (Remedy::kGiveKeys).
  HttpServer(HttpOptions options, HttpHandler handler);
  // After Run has returned, or if it was never called. Replies may outlive the server.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Serves until Stop; once. The caller is one of the I/O threads.
  void Run();
  // Of TCP; 0 without.
  uint16_t port() const;
  // Accepts no more connections and requests, and lets Run return when the running requests have
  // ended, at `until` at the latest: then their clients are cut off. Any thread, not a signal
  // handler; may be called again with an earlier time.
  void Stop(std::chrono::steady_clock::time_point until);
  // Reads the key files, the certificate and its key again, for the requests and connections that
  // come. Those that are there go on. Throws what the constructor throws for them, and then nothing
  // has changed. Any thread.
  void Reload();
  // Any thread.
  HttpStatistics statistics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// {"error":{"message":…,"type":…,"param":null,"code":…}}: the form of OpenAI's errors; `code` may
// be empty (null).
std::string HttpErrorBody(std::string_view message, std::string_view type, std::string_view code);
// OpenAI's word for a status: invalid_request_error, not_found_error, rate_limit_error …
std::string_view ErrorTypeOf(int status);

}  // namespace linnet

#endif  // LINNET_HTTP_HTTP_H_
