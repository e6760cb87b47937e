#include "http/http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <system_error>
#include <thread>

#include "http/connection.h"
#include "http/event_loop.h"
#include "http/http_listener.h"
#include "http/reply_head.h"
#include "http/request_rules.h"
#include "http/server_context.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Accepted before the loop's connections have their turn.
constexpr int kAcceptedInTurn = 64;
// How long accepting pauses if the system has no more descriptors or memory.
constexpr std::chrono::milliseconds kAcceptPause(100);
// Files other than connections: models, logs, caches.
constexpr size_t kOtherFiles = 128;
constexpr size_t kMostThreads = 64;

bool HasKeys(const HttpOptions& options) {
  return !options.api_keys.empty() || !options.admin_keys.empty();
}

HttpOptions Checked(HttpOptions options) {
  const auto refuse = [](const std::string& what, Remedy remedy = Remedy::kNone) {
    throw Error(ErrorKind::kBadInput, what, remedy);
  };
  if (!options.inherited.empty()) {
    options.host.clear();
    options.unix_socket.clear();
  } else if (options.host.empty() && options.unix_socket.empty()) {
    refuse("the server has neither a host nor a Unix socket to listen on");
  }
  if (options.certificate.empty() != options.private_key.empty()) {
    refuse("TLS wants both a certificate and its private key");
  }
  if (options.threads < 1 || options.threads > kMostThreads) {
    refuse("the server has 1 to " + std::to_string(kMostThreads) + " I/O threads, not " +
           std::to_string(options.threads));
  }
  if (!HasKeys(options) && !options.allow_open && !options.host.empty() &&
      !IsLoopbackHost(options.host)) {
    refuse("without API keys, everybody who reaches " + options.host + " could use this server",
           Remedy::kGiveKeys);
  }
  const size_t files = RaiseFileLimit(options.limits.connections + kOtherFiles);
  options.limits.connections =
      std::min(options.limits.connections, std::max(files, 2 * kOtherFiles) - kOtherFiles);
  return options;
}

// A client over a limit is told so if that needs no waiting.
void RefuseConnection(int socket, bool plain, int status, const char* message) {
  if (plain) {
    const std::string body = HttpErrorBody(message, ErrorTypeOf(status), "too_many_connections");
    const HttpHeaders more = {{"Retry-After", "1"}};
    const std::string text =
        FormatHead({status, "application/json", body.size(), false, false, "", "", &more}) + body;
    send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(socket, SHUT_WR);
  }
  close(socket);
}

}  // namespace

std::string_view HttpRequest::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::optional<std::string> HttpRequest::QueryValue(std::string_view name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t equal = std::min(pair.find('='), pair.size());
    if (PercentDecoded(pair.substr(0, equal), true) != name) continue;
    return PercentDecoded(pair.substr(std::min(equal + 1, pair.size())), true);
  }
  return std::nullopt;
}

struct HttpServer::Impl {
  Impl(HttpOptions options, HttpHandler handler)
      : context(std::make_shared<ServerContext>(Checked(std::move(options)), std::move(handler))),
        homes(context->options.threads) {
    const HttpOptions& given = context->options;
    if (!given.host.empty()) listener.ListenTcp(given.host, given.port);
    if (!given.unix_socket.empty()) listener.ListenUnix(given.unix_socket);
    for (const int socket : given.inherited) listener.TakeOver(socket);
    if (!listener.loopback_only() && !HasKeys(given) && !given.allow_open) {
      throw Error(ErrorKind::kBadInput,
                  "without API keys, everybody who reaches this server could use it",
                  Remedy::kGiveKeys);
    }
    for (const int socket : listener.Release()) {
      sockets.push_back(std::make_unique<Watch>(*homes[0].loop, socket));
    }
    for (ConnectionHome& home : homes) home.on_closed = [this] { EndIfStopped(); };
  }

  // On its way to the thread that will serve it.
  struct AcceptedSocket {
    explicit AcceptedSocket(int accepted) : descriptor(accepted) {}
    ~AcceptedSocket() {
      if (descriptor >= 0) close(descriptor);
    }
    AcceptedSocket(const AcceptedSocket&) = delete;
    AcceptedSocket& operator=(const AcceptedSocket&) = delete;

    int descriptor;
  };

  void WaitToAccept(Watch& socket) {
    socket.OnReadable([this, &socket] { Accept(socket); });
  }

  void Accept(Watch& socket) {
    for (int i = 0; i < kAcceptedInTurn && socket.descriptor() >= 0; ++i) {
      sockaddr_storage address{};
      socklen_t size = sizeof(address);
      const int accepted = accept4(socket.descriptor(), reinterpret_cast<sockaddr*>(&address),
                                   &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted >= 0) {
        Take(accepted, address);
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        socket.At(std::chrono::steady_clock::now() + kAcceptPause,
                  [this, &socket] { Accept(socket); });
        return;
      }
      // Anything else concerns one client that left early.
    }
    if (socket.descriptor() >= 0) WaitToAccept(socket);
  }

  void Take(int descriptor, const sockaddr_storage& address) {
    const HttpLimits& limits = context->options.limits;
    Counters& counters = context->counters;
    Peer peer = PeerOf(address);
    const bool unix_socket = peer.address.empty();
    const bool plain = unix_socket || context->options.certificate.empty();
    ++counters.accepted;
    if (counters.connections.load() >= limits.connections) {
      ++counters.refused;
      return RefuseConnection(descriptor, plain, 503, "too many connections to this server");
    }
    if (!unix_socket && !context->peers.Add(peer.address, limits.connections_per_peer)) {
      ++counters.refused;
      return RefuseConnection(descriptor, plain, 429, "too many connections from this address");
    }
    ++counters.connections;
    if (!unix_socket) {
      const int on = 1, idle = 60;
      setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
      setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    }
    ConnectionHome& home = homes[next_home];
    next_home = (next_home + 1) % homes.size();
    const auto socket = std::make_shared<AcceptedSocket>(descriptor);
    home.loop->Post([this, &home, socket, peer, unix_socket] {
      try {
        const auto connection = std::make_shared<Connection>(
            context, home, std::exchange(socket->descriptor, -1), peer, unix_socket);
        connection->Start();
        if (context->stopping.load()) connection->Drain();
      } catch (const std::exception& failure) {
        context->log.WriteError("-", failure.what());
        if (!unix_socket) context->peers.Remove(peer.address);
        --context->counters.connections;
        EndIfStopped();
      }
    });
  }

  void BeginStop(std::chrono::steady_clock::time_point until) {
    if (!context->stopping.exchange(true)) {
      for (const auto& socket : sockets) socket->Close();
      listener.RemoveUnixSocket();
      ForAllConnections([](Connection& connection) { connection.Drain(); });
    }
    if (!stop_at || until < *stop_at) {
      stop_at = until;
      homes[0].loop->At(until, [this] {
        ForAllConnections([](Connection& connection) { connection.Close(RequestEnd::kStopped); });
      });
    }
    EndIfStopped();
  }

  // Each on its own thread.
  void ForAllConnections(void (*call)(Connection&)) {
    for (ConnectionHome& home : homes) {
      home.loop->Post([&home, call] {
        const auto open = home.open;  // `call` may close some
        for (const auto& connection : open) call(*connection);
      });
    }
  }

  void EndIfStopped() {
    if (!context->stopping.load() || context->counters.connections.load() > 0) return;
    for (ConnectionHome& home : homes) home.loop->Stop();
  }

  std::shared_ptr<ServerContext> context;
  HttpListener listener;
  std::vector<ConnectionHome> homes;
  std::vector<std::unique_ptr<Watch>> sockets;  // on the first home's thread
  size_t next_home = 0;
  std::optional<std::chrono::steady_clock::time_point> stop_at;
};

HttpServer::HttpServer(HttpOptions options, HttpHandler handler)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() = default;

void HttpServer::Run() {
  Impl& server = *impl_;
  server.homes[0].loop->Post([&server] {
    for (const auto& socket : server.sockets) {
      if (socket->descriptor() >= 0) server.WaitToAccept(*socket);
    }
  });
  std::vector<std::thread> threads;
  threads.reserve(server.homes.size());
  try {
    for (size_t i = 1; i < server.homes.size(); ++i) {
      threads.emplace_back([loop = server.homes[i].loop] { loop->Run(); });
    }
    server.homes[0].loop->Run();
  } catch (const std::system_error&) {
    for (ConnectionHome& home : server.homes) home.loop->Stop();
    for (std::thread& thread : threads) thread.join();
    throw Error(ErrorKind::kNoMemory, "the system will not start the server's I/O threads");
  }
  for (std::thread& thread : threads) thread.join();
}

uint16_t HttpServer::port() const { return impl_->listener.port(); }

void HttpServer::Stop(std::chrono::steady_clock::time_point until) {
  impl_->homes[0].loop->Post([server = impl_.get(), until] { server->BeginStop(until); });
}

void HttpServer::Reload() { impl_->context->Reload(); }

HttpStatistics HttpServer::statistics() const {
  const Counters& counters = impl_->context->counters;
  HttpStatistics statistics;
  statistics.connections = counters.connections.load();
  statistics.requests_running = counters.running.load();
  statistics.streams = counters.streams.load();
  statistics.connections_accepted = counters.accepted.load();
  statistics.connections_refused = counters.refused.load();
  statistics.requests = counters.requests.load();
  for (size_t status = 0; status < counters.replies.size(); ++status) {
    const uint64_t count = counters.replies[status].load();
    if (count > 0) statistics.replies[static_cast<int>(status)] = count;
  }
  statistics.gone = counters.gone.load();
  statistics.cut_off = counters.cut_off.load();
  statistics.timed_out = counters.timed_out.load();
  statistics.bytes_received = counters.received.load();
  statistics.bytes_sent = counters.sent.load();
  return statistics;
}

}  // namespace linnet
