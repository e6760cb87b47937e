// HttpListener: sockets that accept connections, on TCP and in the file system.
#ifndef LINNET_HTTP_HTTP_LISTENER_H_
#define LINNET_HTTP_HTTP_LISTENER_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace linnet {

// Owns its sockets, which do not block. Not thread-safe.
class HttpListener {
 public:
  HttpListener() = default;
  ~HttpListener();
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  // Listens on all addresses of `host`, on one port; 0: any that is free. Throws Error kIo.
  void ListenTcp(const std::string& host, uint16_t port);
  // Creates the socket with mode 0600. One that is left over, with nobody behind, is replaced.
  // Throws Error kIo.
  void ListenUnix(const std::filesystem::path& path);
  // Takes over a socket that listens already, and closes it with the others. Throws Error kBadInput
  // if it is another descriptor.
  void TakeOver(int socket);
  // All sockets, to be watched; the caller closes them.
  std::vector<int> Release();
  // Of TCP; 0: none.
  uint16_t port() const { return port_; }
  // Every address is of this machine alone.
  bool loopback_only() const { return loopback_only_; }
  // Removes the Unix socket, if it is still the one that was created.
  void RemoveUnixSocket();

 private:
  std::vector<int> sockets_;
  uint16_t port_ = 0;
  bool loopback_only_ = true;
  std::filesystem::path unix_path_;
  uint64_t unix_inode_ = 0;
};

// The client at the other end of an accepted connection.
struct Peer {
  std::string name;     // "127.0.0.1:50123", "[::1]:50123", "unix"
  std::string address;  // what its connections are counted by; empty: not counted
};
Peer PeerOf(const sockaddr_storage& address);

// Addresses of a name, for the check before anything is opened. Throws Error kIo if it has none.
bool IsLoopbackHost(const std::string& host);

// Raises the soft limit of open files to `files` if the hard limit allows; returns the soft limit.
size_t RaiseFileLimit(size_t files);

}  // namespace linnet

#endif  // LINNET_HTTP_HTTP_LISTENER_H_
