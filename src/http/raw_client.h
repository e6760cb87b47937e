// RawClient, RunningServer: tests of the transport talk to a real server through blocking sockets.
#ifndef LINNET_HTTP_RAW_CLIENT_H_
#define LINNET_HTTP_RAW_CLIENT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/lower.h"
#include "http/http.h"

namespace linnet::test {

// What must come is waited for until CTest would end the test; no test judges how long it took.
inline constexpr int kPatienceMilliseconds = 550'000;

struct RawReply {
  int status = 0;                                   // 0: the connection ended instead
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;                                 // chunks put together
  bool complete = false;                            // with its whole body
  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

class RawClient {
 public:
  explicit RawClient(uint16_t port, int receive_buffer = 0) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Connect(reinterpret_cast<const sockaddr*>(&address), sizeof(address), receive_buffer);
  }
  explicit RawClient(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    Connect(reinterpret_cast<const sockaddr*>(&address), sizeof(address), 0);
  }
  virtual ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False if the server does not take it any more.
  bool Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = SendSome(bytes);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void EndWriting() { shutdown(socket_, SHUT_WR); }
  void Close() {
    if (socket_ >= 0) close(std::exchange(socket_, -1));
  }
  // A reset instead of an orderly end.
  void Abort() {
    const linger off{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
    Close();
  }

  // The next reply, with its body: `without_body` after HEAD.
  RawReply Read(bool without_body = false) {
    RawReply reply = ReadHead();
    if (reply.status == 0 || reply.status == 100) return reply;
    if (without_body || reply.status == 204 || reply.status == 304) {
      reply.complete = true;
    } else if (reply.Header("transfer-encoding") == "chunked") {
      while (const auto chunk = ReadChunk()) {
        if (chunk->empty()) {
          reply.complete = true;
          break;
        }
        reply.body += *chunk;
      }
    } else if (const std::string length = reply.Header("content-length"); !length.empty()) {
      const size_t size = std::stoul(length);
      while (input_.size() < size && Fill()) {
      }
      reply.body = Taken(std::min(size, input_.size()));
      reply.complete = reply.body.size() == size;
    } else {
      while (Fill()) {
      }
      reply.body = Taken(input_.size());
      reply.complete = true;
    }
    return reply;
  }
  RawReply ReadHead() {
    size_t end;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill()) return {};
    }
    std::string head = Taken(end + 4);
    RawReply reply;
    reply.status = std::atoi(head.c_str() + std::strlen("HTTP/1.1 "));
    for (size_t at = head.find("\r\n") + 2; at + 2 < head.size();) {
      const size_t line_end = head.find("\r\n", at);
      const size_t colon = head.find(": ", at);
      reply.headers.emplace(Lower(head.substr(at, colon - at)),
                            head.substr(colon + 2, line_end - colon - 2));
      at = line_end + 2;
    }
    return reply;
  }
  // Empty: the last. nullopt: the connection ended.
  std::optional<std::string> ReadChunk() {
    size_t end;
    while ((end = input_.find("\r\n")) == std::string::npos) {
      if (!Fill()) return std::nullopt;
    }
    const size_t size = std::stoul(Taken(end + 2), nullptr, 16);
    while (input_.size() < size + 2) {
      if (!Fill()) return std::nullopt;
    }
    std::string chunk = Taken(size + 2);
    chunk.resize(size);
    return chunk;
  }
  // The server has closed the connection, and nothing is left to read.
  bool AtEnd() {
    while (input_.empty()) {
      if (!Fill()) return true;
    }
    return false;
  }
  // All bytes up to the end.
  std::string ReadAll() {
    while (Fill()) {
    }
    return Taken(input_.size());
  }
  RawReply Ask(std::string_view request, bool without_body = false) {
    Write(request);
    return Read(without_body);
  }
  int descriptor() const { return socket_; }

 protected:
  virtual ssize_t SendSome(std::string_view bytes) {
    return send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  virtual ssize_t ReceiveSome(char* into, size_t size) { return recv(socket_, into, size, 0); }

 private:
  void Connect(const sockaddr* address, socklen_t size, int receive_buffer) {
    socket_ = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    const timeval patience{kPatienceMilliseconds / 1000, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(socket_, address, size) != 0) {
      throw std::runtime_error(std::string("no connection: ") + std::strerror(errno));
    }
  }
  bool Fill() {
    char bytes[16384];
    const ssize_t received = ReceiveSome(bytes, sizeof(bytes));
    if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      throw std::runtime_error("the server neither answered nor closed the connection");
    }
    if (received <= 0) return false;
    input_.append(bytes, static_cast<size_t>(received));
    return true;
  }
  std::string Taken(size_t size) {
    std::string taken = input_.substr(0, size);
    input_.erase(0, size);
    return taken;
  }

  int socket_ = -1;
  std::string input_;
};

inline constexpr const char* kGet = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

// A POST with this body and these header lines.
inline std::string PostOf(const std::string& body, const std::string& headers = "") {
  return "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

// A handler: answers with the method, path, query and the body, or its size if that is large.
inline void EchoRequest(HttpRequest request, std::shared_ptr<HttpReply> reply) {
  reply->Send(200,
              request.method + " " + request.path + "?" + request.query + " " +
                  (request.body.size() < 1000 ? request.body : std::to_string(request.body.size())),
              "text/plain");
}

// A handler that keeps the replies, for the test to write.
class KeptReplies {
 public:
  HttpHandler Handler() {
    return [this](HttpRequest request, std::shared_ptr<HttpReply> reply) {
      const std::lock_guard lock(mutex_);
      requests_.push_back(std::move(request));
      replies_.push_back(std::move(reply));
      changed_.notify_all();
    };
  }
  // The replies to the first `count` requests; throws if so many do not come.
  std::vector<std::shared_ptr<HttpReply>> Wait(size_t count) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::milliseconds(kPatienceMilliseconds),
                           [&] { return replies_.size() >= count; })) {
      throw std::runtime_error("requests are missing");
    }
    return {replies_.begin(), replies_.begin() + static_cast<ptrdiff_t>(count)};
  }
  std::shared_ptr<HttpReply> WaitForOne() { return Wait(1)[0]; }
  HttpRequest FirstRequest() {
    const std::lock_guard lock(mutex_);
    return requests_.at(0);
  }
  void Drop() {
    const std::lock_guard lock(mutex_);
    replies_.clear();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpRequest> requests_;
  std::vector<std::shared_ptr<HttpReply>> replies_;
};

// A server on a free port of the loopback address, with a thread that runs it until the end.
class RunningServer {
 public:
  explicit RunningServer(HttpHandler handler, HttpOptions options = {})
      : server_(OnFreePort(std::move(options)), std::move(handler)),
        thread_([this] { server_.Run(); }) {}
  ~RunningServer() {
    if (thread_.joinable()) StopAndJoin(std::chrono::milliseconds(0));
  }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  // Lets running requests end, for that long.
  void StopAndJoin(std::chrono::milliseconds patience) {
    server_.Stop(std::chrono::steady_clock::now() + patience);
    thread_.join();
  }
  // Returns when `is_true` of the statistics; false if it does not become true.
  template <class F>
  bool WaitFor(const F& is_true) const {
    for (int i = 0; i < kPatienceMilliseconds; ++i) {
      if (is_true(server_.statistics())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  uint16_t port() const { return server_.port(); }
  HttpServer& server() { return server_; }

 private:
  static HttpOptions OnFreePort(HttpOptions options) {
    options.port = 0;
    return options;
  }

  HttpServer server_;
  std::thread thread_;
};

}  // namespace linnet::test

#endif  // LINNET_HTTP_RAW_CLIENT_H_
