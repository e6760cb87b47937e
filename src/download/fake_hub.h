// FakeHub: tests pull from a server of their own, which does what hubs do, and what they should
// not.
#ifndef LINNET_DOWNLOAD_FAKE_HUB_H_
#define LINNET_DOWNLOAD_FAKE_HUB_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/lower.h"
#include "base/sha256.h"

namespace linnet::test {

struct HubRequest {
  std::string target;                          // with its query
  std::map<std::string, std::string> headers;  // names in lower case

  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

// One connection, closed after its reply.
class HubConnection {
 public:
  explicit HubConnection(int socket) : socket_(socket) {}
  // False if the client does not take it any more.
  bool Send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // `headers`: lines with their ends. The length is that of the body unless they say it.
  void Reply(const std::string& status, const std::string& headers, std::string_view body) const {
    std::string head = "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers;
    if (Lower(headers).find("content-length:") == std::string::npos) {
      head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    if (Send(head + "\r\n")) Send(body);
  }

 private:
  int socket_;
};

// Answers one connection after another, on a thread of its own.
class FakeServer {
 public:
  using Answer = std::function<void(const HubRequest&, const HubConnection&)>;

  explicit FakeServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        listen(listener_, 64) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no port for the fake hub");
    }
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeServer() {
    stopped_ = true;
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  const std::string& url() const { return url_; }
  std::vector<HubRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void Serve() {
    while (!stopped_) {
      const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      const HubRequest request = Read(client);
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      answer_(request, HubConnection(client));
      shutdown(client, SHUT_WR);
      close(client);
    }
  }
  static HubRequest Read(int client) {
    std::string text;
    char bytes[4096];
    while (text.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(client, bytes, sizeof(bytes), 0);
      if (got <= 0) break;
      text.append(bytes, static_cast<size_t>(got));
    }
    HubRequest request;
    const size_t begin = text.find(' ') + 1;
    request.target = text.substr(begin, text.find(' ', begin) - begin);
    for (size_t at = text.find("\r\n"); at != text.npos && at + 2 < text.size();) {
      const size_t end = text.find("\r\n", at + 2), colon = text.find(": ", at + 2);
      if (end == text.npos || colon == text.npos || colon > end) break;
      request.headers[Lower(text.substr(at + 2, colon - at - 2))] =
          text.substr(colon + 2, end - colon - 2);
      at = end;
    }
    return request;
  }

  Answer answer_;
  int listener_ = -1;
  std::string url_;
  std::atomic<bool> stopped_ = false;
  mutable std::mutex mutex_;
  std::vector<HubRequest> requests_;
  std::thread thread_;
};

// A Hugging Face with one repository, any/model.
class FakeHub {
 public:
  struct File {
    std::string bytes;
    bool large = true;  // the list has its digest
  };

  explicit FakeHub(std::map<std::string, File> files)
      : files_(std::move(files)),
        server_([this](const HubRequest& request, const HubConnection& to) {
          if (fault && fault(request, to)) return;
          Answer(request, to);
        }) {}

  const std::string& url() const { return server_.url(); }
  std::vector<HubRequest> requests() const { return server_.requests(); }
  // Requests of files, not of lists.
  size_t fetches() const {
    size_t count = 0;
    for (const HubRequest& request : requests())
      count += request.target.starts_with("/api/") ? 0 : 1;
    return count;
  }

  // Called first, on the server's thread; true: it has answered. Set it before any request.
  std::function<bool(const HubRequest&, const HubConnection&)> fault;

  // As hubs answer.
  void Answer(const HubRequest& request, const HubConnection& to) const {
    if (request.target == "/api/models/any/model/tree/main?recursive=true") {
      return to.Reply("200 OK", "Content-Type: application/json\r\n", List().dump());
    }
    const std::string before = "/any/model/resolve/main/";
    const auto file = request.target.starts_with(before)
                          ? files_.find(request.target.substr(before.size()))
                          : files_.end();
    if (file == files_.end()) return to.Reply("404 Not Found", "", "none");
    SendFile(request, to, file->second.bytes);
  }
  static void SendFile(const HubRequest& request, const HubConnection& to,
                       const std::string& bytes) {
    const std::string tag = "\"" + Hex(Sha256Of(bytes)) + "\"";
    const std::string range = request.Header("range"), condition = request.Header("if-range");
    if (!range.starts_with("bytes=") || (!condition.empty() && condition != tag)) {
      return to.Reply("200 OK", "ETag: " + tag + "\r\n", bytes);
    }
    const size_t begin = std::strtoull(range.c_str() + 6, nullptr, 10);
    if (begin >= bytes.size()) return to.Reply("416 Range Not Satisfiable", "", "");
    to.Reply("206 Partial Content",
             "ETag: " + tag + "\r\nContent-Range: bytes " + std::to_string(begin) + "-" +
                 std::to_string(bytes.size() - 1) + "/" + std::to_string(bytes.size()) + "\r\n",
             std::string_view(bytes).substr(begin));
  }
  nlohmann::json List() const {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [path, file] : files_) {
      nlohmann::json entry = {{"type", "file"}, {"path", path}, {"size", file.bytes.size()}};
      if (file.large) {
        entry["lfs"] = {{"oid", Hex(Sha256Of(file.bytes))}, {"size", file.bytes.size()}};
      }
      list.push_back(entry);
    }
    return list;
  }

 private:
  std::map<std::string, File> files_;
  FakeServer server_;
};

}  // namespace linnet::test

#endif  // LINNET_DOWNLOAD_FAKE_HUB_H_
