#include "http/channel.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>

#include "linnet/error.h"

namespace linnet {
namespace {

std::string TlsError() {
  const unsigned long code = ERR_get_error();  // NOLINT: OpenSSL's type
  ERR_clear_error();
  const char* const reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "unknown reason";
}

bool MustWait(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// OpenSSL's own BIO of sockets writes with write(), which raises SIGPIPE once a client has left.
int BioWrite(BIO* bio, const char* bytes, size_t size, size_t* written) {
  BIO_clear_retry_flags(bio);
  ssize_t sent;
  do {
    sent = send(static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))), bytes, size,
                MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    if (MustWait(errno)) BIO_set_retry_write(bio);
    return 0;
  }
  *written = static_cast<size_t>(sent);
  return 1;
}

int BioRead(BIO* bio, char* bytes, size_t size, size_t* read) {
  BIO_clear_retry_flags(bio);
  ssize_t received;
  do {
    received =
        recv(static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))), bytes, size, 0);
  } while (received < 0 && errno == EINTR);
  if (received <= 0) {
    if (received < 0 && MustWait(errno)) BIO_set_retry_read(bio);
    if (received == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return 0;
  }
  *read = static_cast<size_t>(received);
  return 1;
}

long BioControl(BIO* bio, int command, long /*number*/, void* /*pointer*/) {  // NOLINT
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* SocketMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (made != nullptr) {
      BIO_meth_set_write_ex(made, BioWrite);
      BIO_meth_set_read_ex(made, BioRead);
      BIO_meth_set_ctrl(made, BioControl);
    }
    return made;
  }();
  return method;
}

// HTTP/1.1 is the only protocol spoken here.
int ChooseProtocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* chosen_size,
                   const unsigned char* offered, unsigned offered_size, void* /*context*/) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_size, kHttp11, sizeof(kHttp11) - 1, offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

void RequireReadable(const std::filesystem::path& file, const char* what) {
  if (!std::ifstream(file)) {
    throw Error(ErrorKind::kIo, file.string() + ": the " + what + " cannot be read");
  }
}

}  // namespace

struct TlsContext::Impl {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  ~Impl() { SSL_CTX_free(context); }
};

TlsContext::TlsContext(const std::filesystem::path& certificate,
                       const std::filesystem::path& private_key)
    : impl_(std::make_unique<Impl>()) {
  SSL_CTX* const context = impl_->context;
  ERR_clear_error();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
    throw Error(ErrorKind::kBadInput, "OpenSSL offers no TLS 1.2: " + TlsError());
  }
  RequireReadable(certificate, "certificate");
  RequireReadable(private_key, "private key");
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    throw Error(ErrorKind::kBadInput,
                certificate.string() + ": holds no certificate in PEM: " + TlsError());
  }
  // A key with a passphrase would ask for it on the terminal.
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; });
  if (SSL_CTX_use_PrivateKey_file(context, private_key.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw Error(ErrorKind::kBadInput,
                private_key.string() +
                    ": holds no key in PEM, without a passphrase, that belongs "
                    "to the certificate: " +
                    TlsError());
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    throw Error(ErrorKind::kBadInput,
                private_key.string() + ": is not the key of " + certificate.string());
  }
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // An open stream keeps no buffers of 16 KB while nothing moves.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context, ChooseProtocol, nullptr);
}

TlsContext::~TlsContext() = default;

struct Channel::Impl {
  SSL* ssl = nullptr;
  bool broken = false;  // OpenSSL forbids further calls
  ~Impl() { SSL_free(ssl); }

  Result ResultOf(int returned, size_t bytes) {
    if (returned > 0) return {Outcome::kDone, bytes};
    const int error = SSL_get_error(ssl, returned);
    ERR_clear_error();
    switch (error) {
      case SSL_ERROR_WANT_READ:
        return {Outcome::kWantRead};
      case SSL_ERROR_WANT_WRITE:
        return {Outcome::kWantWrite};
      case SSL_ERROR_ZERO_RETURN:
        return {Outcome::kEnd};
      default:
        broken = true;
        return {Outcome::kFailed};
    }
  }
};

Channel::Channel(int descriptor, const TlsContext* tls) : descriptor_(descriptor) {
  if (tls == nullptr) return;
  impl_ = std::make_unique<Impl>();
  impl_->ssl = SSL_new(tls->impl_->context);
  BIO_METHOD* const method = SocketMethod();
  BIO* const bio = method != nullptr ? BIO_new(method) : nullptr;
  if (impl_->ssl == nullptr || bio == nullptr) {
    BIO_free(bio);
    throw Error(ErrorKind::kNoMemory, "no memory for a TLS connection");
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(descriptor)));
  BIO_set_init(bio, 1);
  SSL_set_bio(impl_->ssl, bio, bio);
  SSL_set_accept_state(impl_->ssl);
}

Channel::~Channel() = default;

Channel::Result Channel::Handshake() {
  if (!impl_) return {Outcome::kDone};
  if (impl_->broken) return {Outcome::kFailed};
  ERR_clear_error();
  return impl_->ResultOf(SSL_do_handshake(impl_->ssl), 0);
}

Channel::Result Channel::Read(std::span<char> into) {
  if (impl_) {
    if (impl_->broken) return {Outcome::kFailed};
    ERR_clear_error();
    size_t bytes = 0;
    const int returned = SSL_read_ex(impl_->ssl, into.data(), into.size(), &bytes);
    return impl_->ResultOf(returned, bytes);
  }
  ssize_t received;
  do {
    received = recv(descriptor_, into.data(), into.size(), 0);
  } while (received < 0 && errno == EINTR);
  if (received > 0) return {Outcome::kDone, static_cast<size_t>(received)};
  if (received == 0) return {Outcome::kEnd};
  return {MustWait(errno) ? Outcome::kWantRead : Outcome::kFailed};
}

Channel::Result Channel::Write(std::string_view bytes) {
  if (impl_) {
    if (impl_->broken) return {Outcome::kFailed};
    ERR_clear_error();
    size_t written = 0;
    const int returned = SSL_write_ex(impl_->ssl, bytes.data(), bytes.size(), &written);
    return impl_->ResultOf(returned, written);
  }
  ssize_t sent;
  do {
    sent = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return {Outcome::kDone, static_cast<size_t>(sent)};
  return {MustWait(errno) ? Outcome::kWantWrite : Outcome::kFailed};
}

void Channel::EndWriting() {
  if (impl_ && !impl_->broken && SSL_is_init_finished(impl_->ssl) != 0) {
    ERR_clear_error();
    SSL_shutdown(impl_->ssl);
    ERR_clear_error();
  }
  shutdown(descriptor_, SHUT_WR);
}

}  // namespace linnet
