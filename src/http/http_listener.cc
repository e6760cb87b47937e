#include "http/http_listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "http/request_rules.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr int kBacklog = 1024;

std::string Reason() { return std::strerror(errno); }

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses AddressesOf(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (failed != 0) {
    throw Error(ErrorKind::kIo, "host " + host + " has no address: " + gai_strerror(failed));
  }
  return Addresses(list);
}

std::string TextOf(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->sa_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text.data(),
              text.size());
  } else if (address->sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text.data(),
              text.size());
  }
  return text.data();
}

uint16_t PortOf(const sockaddr_storage& address) {
  // The port is at the same place for both families.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

bool Answers(const sockaddr_un& address) {
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (client < 0) return true;
  const bool refused =
      connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno == ECONNREFUSED;
  close(client);
  return !refused;
}

}  // namespace

HttpListener::~HttpListener() {
  for (const int socket : sockets_) close(socket);
  RemoveUnixSocket();
}

bool IsLoopbackHost(const std::string& host) {
  const Addresses addresses = AddressesOf(host);
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    if (!IsLoopbackAddress(TextOf(at->ai_addr))) return false;
  }
  return true;
}

void HttpListener::ListenTcp(const std::string& host, uint16_t port) {
  const Addresses addresses = AddressesOf(host);
  const auto fail = [&](int error) {
    return Error(ErrorKind::kIo, "cannot listen on " + host + " port " + std::to_string(port) +
                                     ": " + std::strerror(error) +
                                     "; choose another address or port");
  };
  std::vector<std::string> bound;
  int missing = EADDRNOTAVAIL;
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    const std::string text = TextOf(at->ai_addr);
    if (std::find(bound.begin(), bound.end(), text) != bound.end()) continue;
    sockaddr_storage address{};
    std::memcpy(&address, at->ai_addr, std::min<size_t>(at->ai_addrlen, sizeof(address)));
    reinterpret_cast<sockaddr_in*>(&address)->sin_port = htons(port_ != 0 ? port_ : port);
    const int socket = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) {
      missing = errno;  // on a machine without IPv6
      continue;
    }
    const int on = 1, off = 0;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->ai_family == AF_INET6) {
      // "::" also takes IPv4.
      setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, text == "::" ? &off : &on, sizeof(on));
    }
    if (bind(socket, reinterpret_cast<const sockaddr*>(&address), at->ai_addrlen) != 0 ||
        listen(socket, kBacklog) != 0) {
      missing = errno;
      close(socket);
      if (missing == EADDRNOTAVAIL) continue;  // no such address here, as ::1 in many containers
      throw fail(missing);
    }
    sockets_.push_back(socket);
    bound.push_back(text);
    loopback_only_ = loopback_only_ && IsLoopbackAddress(text);
    socklen_t size = sizeof(address);
    if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
      port_ = PortOf(address);
    }
  }
  if (bound.empty()) throw fail(missing);
}

void HttpListener::ListenUnix(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = path.string();
  const auto fail = [&](const std::string& why) {
    return Error(ErrorKind::kIo, name + ": cannot be a Unix socket: " + why);
  };
  if (name.size() >= sizeof(address.sun_path)) {
    throw fail("the path has more than " + std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  struct stat status;
  if (lstat(name.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) throw fail("there is a file of this name");
    if (Answers(address)) throw fail("another server listens there");
    unlink(name.c_str());
  }
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) throw fail(Reason());
  sockets_.push_back(socket);
  // The mode of the socket's inode is that of the file, so nobody else can connect in between.
  if (fchmod(socket, 0600) != 0 ||
      bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw fail(Reason());
  }
  unix_path_ = std::filesystem::absolute(path);
  if (lstat(name.c_str(), &status) == 0) unix_inode_ = status.st_ino;
  if (chmod(name.c_str(), 0600) != 0 || listen(socket, kBacklog) != 0) throw fail(Reason());
}

void HttpListener::TakeOver(int socket) {
  int type = 0, listening = 0;
  socklen_t size = sizeof(type);
  sockaddr_storage address{};
  socklen_t address_size = sizeof(address);
  const bool good =
      getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
      getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0 &&
      getsockname(socket, reinterpret_cast<sockaddr*>(&address), &address_size) == 0 &&
      (address.ss_family == AF_INET || address.ss_family == AF_INET6 ||
       address.ss_family == AF_UNIX);
  if (!good) {
    throw Error(ErrorKind::kBadInput, "descriptor " + std::to_string(socket) +
                                          ": is no listening stream socket, as the service "
                                          "manager's unit should give");
  }
  fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  sockets_.push_back(socket);
  if (address.ss_family == AF_UNIX) return;
  if (port_ == 0) port_ = PortOf(address);
  loopback_only_ =
      loopback_only_ && IsLoopbackAddress(TextOf(reinterpret_cast<const sockaddr*>(&address)));
}

std::vector<int> HttpListener::Release() { return std::exchange(sockets_, {}); }

void HttpListener::RemoveUnixSocket() {
  if (unix_path_.empty()) return;
  struct stat status;
  if (lstat(unix_path_.c_str(), &status) == 0 && S_ISSOCK(status.st_mode) &&
      status.st_ino == unix_inode_) {
    unlink(unix_path_.c_str());
  }
  unix_path_.clear();
}

Peer PeerOf(const sockaddr_storage& address) {
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return {"unix", ""};
  const std::string text = TextOf(reinterpret_cast<const sockaddr*>(&address));
  const std::string port = ":" + std::to_string(PortOf(address));
  if (address.ss_family == AF_INET) return {text + port, text};
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    const std::string v4 = text.substr(text.rfind(':') + 1);
    return {v4 + port, v4};
  }
  // A client with IPv6 usually has a whole /64 to choose from.
  return {"[" + text + "]" + port, std::string(reinterpret_cast<const char*>(v6.s6_addr), 8)};
}

size_t RaiseFileLimit(size_t files) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return files;
  if (limit.rlim_cur < files) {
    rlimit raised = limit;
    raised.rlim_cur = std::min<rlim_t>(files, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return static_cast<size_t>(raised.rlim_cur);
  }
  return static_cast<size_t>(limit.rlim_cur);
}

}  // namespace linnet
