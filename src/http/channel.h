// Channel: bytes to and from a client, plain or through TLS, without blocking.
#ifndef LINNET_HTTP_CHANNEL_H_
#define LINNET_HTTP_CHANNEL_H_

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace linnet {

// The server's certificate and key. Immutable and thread-safe; channels do not need it once they
// are made.
class TlsContext {
 public:
  // PEM files, the certificate's chain from the leaf. TLS 1.2 or later. Throws Error kIo if a file
  // cannot be read, kBadInput if it holds no certificate or key, or these do not belong together.
  TlsContext(const std::filesystem::path& certificate, const std::filesystem::path& private_key);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class Channel;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One thread at a time. Does not own the descriptor, which must not block.
class Channel {
 public:
  // nullptr: plain.
  Channel(int descriptor, const TlsContext* tls);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  enum class Outcome {
    kDone,       // `bytes` were moved, or the handshake is complete
    kWantRead,   // again when the descriptor can be read
    kWantWrite,  // or written
    kEnd,        // the client sends no more
    kFailed,     // the connection is broken
  };
  struct Result {
    Outcome outcome;
    size_t bytes = 0;
  };
  Result Handshake();
  Result Read(std::span<char> into);
  Result Write(std::string_view bytes);
  // No more will be written; says so to the client.
  void EndWriting();

 private:
  struct Impl;
  int descriptor_;
  std::unique_ptr<Impl> impl_;  // of TLS
};

}  // namespace linnet

#endif  // LINNET_HTTP_CHANNEL_H_
