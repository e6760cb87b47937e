#include "cli/service_manager.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "linnet/error.h"

namespace linnet::cli {
namespace {

constexpr int kFirstDescriptor = 3;  // of the descriptors, by the protocol
constexpr int kMostSockets = 1000;   // more are a mistake

std::optional<int> NumberOfEnvironment(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  int number = 0;
  const char* const end = text + std::strlen(text);
  const auto [last, error] = std::from_chars(text, end, number);
  if (error != std::errc() || last != end) return std::nullopt;
  return number;
}

}  // namespace

std::vector<int> InheritedSockets() {
  const auto process = NumberOfEnvironment("LISTEN_PID"), count = NumberOfEnvironment("LISTEN_FDS");
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(variable);
  if (process != getpid() || !count) return {};
  if (*count < 0 || *count > kMostSockets) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("LISTEN_FDS is {}, expected a number of sockets", *count));
  }
  std::vector<int> sockets;
  for (int i = 0; i < *count; ++i) {
    fcntl(kFirstDescriptor + i, F_SETFD, FD_CLOEXEC);
    sockets.push_back(kFirstDescriptor + i);
  }
  return sockets;
}

void NotifyManager(const std::string& state) noexcept {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  const std::string_view name(path);
  if (name.size() >= sizeof(address.sun_path)) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  sendto(socket, state.data(), state.size(), MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&address), size);
  close(socket);
}

}  // namespace linnet::cli
