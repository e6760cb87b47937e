// Who may use a running server: keys, rates, hosts, origins, TLS and Unix sockets.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "http/api_keys.h"
#include "http/http.h"
#include "http/raw_client.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using test::EchoRequest;
using test::KeptReplies;
using test::kGet;
using test::PostOf;
using test::RawClient;
using test::RawReply;
using test::RunningServer;
using test::TemporaryFolder;

std::string GetWith(const std::string& headers, const std::string& path = "/a") {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}

nlohmann::json ErrorIn(const RawReply& reply) { return nlohmann::json::parse(reply.body)["error"]; }

class KeyedServerTest : public ::testing::Test {
 protected:
  HttpOptions Options() {
    HttpOptions options;
    options.api_keys =
        folder_.Write("keys", ApiKeyLine("anna", "key-a") + "\n" + ApiKeyLine("bob", "key-b") +
                                  " requests_per_minute=2 tokens_per_minute=60\n" +
                                  ApiKeyLine("carl", "key-c") + " concurrent=1\n");
    options.admin_keys = folder_.Write("admins", ApiKeyLine("root", "key-r") + "\n");
    options.clock = [this] { return now_.load(); };
    return options;
  }

  TemporaryFolder folder_;
  std::atomic<std::chrono::steady_clock::time_point> now_{};
};

TEST_F(KeyedServerTest, KeysAreAskedForAndNamed) {
  RunningServer server(
      [](HttpRequest request, std::shared_ptr<HttpReply> reply) {
        reply->Send(200, request.owner + (request.admin ? " admin" : ""), "text/plain");
      },
      Options());
  RawClient client(server.port());
  EXPECT_EQ(client.Ask(GetWith("Authorization: Bearer key-a\r\n")).body, "anna");
  EXPECT_EQ(client.Ask(GetWith("authorization: bearer  key-a\r\n")).body, "anna");
  EXPECT_EQ(client.Ask(GetWith("x-api-key: key-b\r\n")).body, "bob");
  EXPECT_EQ(client.Ask(GetWith("Authorization: Bearer key-r\r\n")).body, "root admin");
  EXPECT_EQ(client.Ask(GetWith("", "/health")).body, "");
  EXPECT_EQ(client.Ask(GetWith("Authorization: Bearer wrong\r\n", "/health")).status, 200);
  for (const char* headers : {"", "Authorization: Bearer key\r\n", "Authorization: Basic key-a\r\n",
                              "Authorization: Bearer\r\n", "x-api-key: anna\r\n"}) {
    const RawReply refused = client.Ask(GetWith(headers));
    EXPECT_EQ(refused.status, 401) << headers;
    EXPECT_EQ(refused.Header("www-authenticate"), "Bearer");
    EXPECT_EQ(ErrorIn(refused)["code"], "invalid_api_key");
    EXPECT_EQ(ErrorIn(refused)["type"], "invalid_request_error");
  }
}

// The body of a request without a key is neither kept nor waited for.
TEST_F(KeyedServerTest, FilesAreReadAgainWithoutLosingAConnection) {
  KeptReplies replies;
  RunningServer server(
      [&, keep = replies.Handler()](HttpRequest request, std::shared_ptr<HttpReply> reply) {
        if (request.path == "/slow") return keep(std::move(request), std::move(reply));
        reply->Send(200, request.owner, "text/plain");
      },
      Options());
  RawClient client(server.port()), slow(server.port());
  EXPECT_EQ(client.Ask(GetWith("x-api-key: key-a\r\n")).body, "anna");
  slow.Write(GetWith("x-api-key: key-c\r\n", "/slow"));
  const auto reply = replies.WaitForOne();
  folder_.Write("keys", ApiKeyLine("dora", "key-d") + "\n");
  EXPECT_EQ(client.Ask(GetWith("x-api-key: key-d\r\n")).status, 401);
  server.server().Reload();
  EXPECT_EQ(client.Ask(GetWith("x-api-key: key-a\r\n")).status, 401);
  EXPECT_EQ(client.Ask(GetWith("x-api-key: key-d\r\n")).body, "dora");
  EXPECT_EQ(client.Ask(GetWith("x-api-key: key-r\r\n")).body, "root");
  // A file that cannot be used changes nothing.
  folder_.Write("keys", "dora key-e\n");
  EXPECT_THROW(server.server().Reload(), Error);
  EXPECT_EQ(client.Ask(GetWith("x-api-key: key-d\r\n")).body, "dora");
  // What began with the old keys ends with them.
  reply->CountTokens(3);
  reply->Send(200, "late", "text/plain", {});
  EXPECT_EQ(slow.Read().body, "late");
}

TEST_F(KeyedServerTest, ARefusalHasTheFormThatTheServerGives) {
  HttpOptions options = Options();
  options.error_body = [](const HttpRefusal& refusal) {
    return fmt::format("{} {} {} {} {}", refusal.status, refusal.target, refusal.type, refusal.code,
                       refusal.request_id);
  };
  RunningServer server([](const HttpRequest&, const std::shared_ptr<HttpReply>&) {}, options);
  RawClient client(server.port());
  EXPECT_EQ(client.Ask(GetWith("x-request-id: r1\r\n", "/a?b=c")).body,
            "401 /a?b=c invalid_request_error invalid_api_key r1");
}

TEST_F(KeyedServerTest, RefusedBeforeTheBody) {
  RunningServer server(EchoRequest, Options());
  RawClient client(server.port());
  const std::string request = PostOf(std::string(100, 'a'));
  const RawReply reply = client.Ask(request.substr(0, request.size() - 100));
  EXPECT_EQ(reply.status, 401);
  EXPECT_EQ(reply.Header("connection"), "close");
}

TEST_F(KeyedServerTest, RatesOfAKeyAreKept) {
  RunningServer server(
      [](HttpRequest, std::shared_ptr<HttpReply> reply) {
        reply->CountTokens(90);
        reply->Send(200, "");
      },
      Options());
  RawClient client(server.port());
  const auto ask = [&](const std::string& key) {
    return client.Ask(GetWith("Authorization: Bearer " + key + "\r\n"));
  };
  EXPECT_EQ(ask("key-b").status, 200);  // 30 tokens more than it has
  const RawReply tokens = ask("key-b");
  EXPECT_EQ(tokens.status, 429);
  EXPECT_EQ(tokens.Header("retry-after"), "31");
  EXPECT_EQ(ErrorIn(tokens)["code"], "rate_limit_exceeded");
  EXPECT_EQ(ErrorIn(tokens)["type"], "tokens");
  EXPECT_EQ(ask("key-a").status, 200);
  now_ = now_.load() + std::chrono::seconds(31);
  EXPECT_EQ(ask("key-b").status, 200);
  now_ = now_.load() + std::chrono::seconds(1000);
  EXPECT_EQ(ask("key-b").status, 200);
}

TEST_F(KeyedServerTest, ConcurrentRequestsOfAKeyEndWithTheirReplyOrClient) {
  KeptReplies kept;
  RunningServer server(kept.Handler(), Options());
  const std::string request = GetWith("Authorization: Bearer key-c\r\n");
  RawClient second(server.port());
  {
    RawClient first(server.port());
    ASSERT_TRUE(first.Write(request));
    const auto reply = kept.WaitForOne();
    const RawReply refused = second.Ask(request);
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.Header("retry-after"), "1");
    reply->Send(200, "");
    EXPECT_EQ(first.Read().status, 200);
    ASSERT_TRUE(second.Write(request));
    kept.Wait(2)[1]->Send(200, "");
    EXPECT_EQ(second.Read().status, 200);
    ASSERT_TRUE(first.Write(request));
    kept.Wait(3);
  }
  // The client left, so its place is free.
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) { return all.gone == 1; }));
  ASSERT_TRUE(second.Write(request));
  kept.Wait(4)[3]->Send(200, "");
  EXPECT_EQ(second.Read().status, 200);
}

TEST(ServerAccessTest, OtherAddressesWantKeysOrConsent) {
  HttpOptions options;
  options.port = 0;
  for (const char* host : {"0.0.0.0", "::"}) {
    options.host = host;
    try {
      const HttpServer server(options, EchoRequest);
      ADD_FAILURE() << host;
    } catch (const Error& error) {
      EXPECT_EQ(error.remedy(), Remedy::kGiveKeys);
    }
  }
  options.host = "0.0.0.0";
  options.allow_open = true;
  EXPECT_NE(HttpServer(options, EchoRequest).port(), 0);
  options.allow_open = false;
  const TemporaryFolder folder;
  options.api_keys = folder.Write("keys", ApiKeyLine("anna", "a"));
  EXPECT_NE(HttpServer(options, EchoRequest).port(), 0);
}

TEST(ServerAccessTest, BadOptionsAreRefused) {
  const auto refused = [](auto change) {
    HttpOptions options;
    options.port = 0;
    change(options);
    try {
      const HttpServer server(options, EchoRequest);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refused([](HttpOptions&) {}), "");
  EXPECT_NE(refused([](HttpOptions& o) { o.host = ""; }), "");
  EXPECT_NE(refused([](HttpOptions& o) { o.threads = 0; }), "");
  EXPECT_NE(refused([](HttpOptions& o) { o.certificate = "cert.pem"; }), "");
  EXPECT_NE(refused([](HttpOptions& o) { o.certificate = o.private_key = "/missing"; }), "");
  EXPECT_NE(refused([](HttpOptions& o) { o.api_keys = "/missing"; }), "");
  EXPECT_NE(refused([](HttpOptions& o) { o.host = "no-such-host.invalid"; }), "");
  RunningServer running(EchoRequest);
  EXPECT_NE(refused([&](HttpOptions& o) { o.port = running.port(); }).find("in use"),
            std::string::npos);
}

// A page of a name that was made to point to the loopback address.
TEST(ServerAccessTest, RebindingIsRefused) {
  RunningServer server(EchoRequest);
  RawClient client(server.port());
  const RawReply refused = client.Ask("GET /a HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(ErrorIn(refused)["code"], "host_not_allowed");
  EXPECT_EQ(
      client.Ask("GET /a HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) + "\r\n\r\n")
          .status,
      200);
  const RawReply origin = client.Ask(PostOf("", "Origin: https://evil.example\r\n"));
  EXPECT_EQ(origin.status, 403);
  EXPECT_EQ(ErrorIn(origin)["code"], "origin_not_allowed");
  EXPECT_EQ(origin.Header("access-control-allow-origin"), "");
}

TEST(ServerAccessTest, CorsIsForListedOriginsOnly) {
  HttpOptions options;
  options.cors_origins = {"https://chat.example"};
  RunningServer server(EchoRequest, options);
  RawClient client(server.port());
  const std::string origin = "Origin: https://chat.example\r\n";
  const RawReply preflight =
      client.Ask("OPTIONS /a HTTP/1.1\r\nHost: localhost\r\n" + origin +
                 "Access-Control-Request-Method: POST\r\n"
                 "Access-Control-Request-Headers: authorization, x-stainless-os\r\n\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.Header("access-control-allow-origin"), "https://chat.example");
  EXPECT_EQ(preflight.Header("access-control-allow-headers"), "authorization, x-stainless-os");
  EXPECT_NE(preflight.Header("access-control-allow-methods").find("POST"), std::string::npos);
  const RawReply reply = client.Ask(GetWith(origin));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.Header("access-control-allow-origin"), "https://chat.example");
  EXPECT_EQ(reply.Header("vary"), "Origin");
  // Errors, too, or pages could not read them.
  EXPECT_EQ(client.Ask(GetWith(origin, "/%zz")).Header("access-control-allow-origin"),
            "https://chat.example");
  EXPECT_EQ(client.Ask(GetWith("Origin: https://evil.example\r\n")).status, 403);
  // Without CORS an OPTIONS request is the handler's.
  RunningServer plain(EchoRequest);
  const RawReply handled =
      RawClient(plain.port()).Ask("OPTIONS /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(handled.body, "OPTIONS /a? ");
  EXPECT_EQ(handled.Header("access-control-allow-origin"), "");
}

TEST(ServerAccessTest, UnixSocketIsPrivateAndRemovedAtTheEnd) {
  const TemporaryFolder folder;
  HttpOptions options;
  options.host = "";
  options.unix_socket = folder / "linnet.sock";
  for (int i = 0; i < 2; ++i) {
    RunningServer server(EchoRequest, options);
    EXPECT_EQ(server.port(), 0);
    struct stat status;
    ASSERT_EQ(stat(options.unix_socket.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    RawClient client(options.unix_socket);
    EXPECT_EQ(client.Ask("GET /a HTTP/1.1\r\nHost: anything.example\r\n\r\n").body, "GET /a? ");
    EXPECT_THROW(HttpServer(options, EchoRequest), Error);  // it is in use
    EXPECT_EQ(client.Ask(kGet).status, 200);
    server.StopAndJoin(std::chrono::milliseconds(0));
    EXPECT_FALSE(std::filesystem::exists(options.unix_socket));
  }
}

TEST(ServerAccessTest, UnixSocketReplacesALeftoverButNoFile) {
  const TemporaryFolder folder;
  HttpOptions options;
  options.host = "";
  options.unix_socket = folder / "linnet.sock";
  {
    const int left = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, options.unix_socket.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    close(left);
  }
  {
    RunningServer server(EchoRequest, options);
    EXPECT_EQ(RawClient(options.unix_socket).Ask(kGet).status, 200);
  }
  options.unix_socket = folder.Write("precious", "text");
  EXPECT_THROW(HttpServer(options, EchoRequest), Error);
  EXPECT_TRUE(std::filesystem::exists(options.unix_socket));
  options.unix_socket = folder / std::string(200, 'a');
  EXPECT_THROW(HttpServer(options, EchoRequest), Error);
}

// A certificate that signs itself, and its key.
struct Certificate {
  explicit Certificate(const TemporaryFolder& folder, const std::string& name)
      : certificate(folder / (name + ".crt")), key(folder / (name + ".key")) {
    EVP_PKEY* const pair = EVP_EC_gen("P-256");
    X509* const x509 = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pair);
    X509_NAME* const subject = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(x509, subject);
    X509_sign(x509, pair, EVP_sha256());
    std::FILE* file = std::fopen(certificate.c_str(), "w");
    PEM_write_X509(file, x509);
    std::fclose(file);
    file = std::fopen(key.c_str(), "w");
    PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(x509);
    EVP_PKEY_free(pair);
  }
  std::filesystem::path certificate, key;
};

class TlsClient : public RawClient {
 public:
  TlsClient(uint16_t port, int highest_version = TLS1_3_VERSION) : RawClient(port) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context_, 0);
    SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_, highest_version);
    ssl_ = SSL_new(context_);
    static constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";
    SSL_set_alpn_protos(ssl_, kProtocols, sizeof(kProtocols) - 1);
    SSL_set_fd(ssl_, descriptor());
    connected = SSL_connect(ssl_) == 1;
    ERR_clear_error();
  }
  ~TlsClient() override {
    if (connected) SSL_shutdown(ssl_);
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  std::string Protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  std::string Version() const { return SSL_get_version(ssl_); }
  // Of the server's certificate.
  std::string Fingerprint() const {
    X509* const certificate = SSL_get1_peer_certificate(ssl_);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), digest, &size);
    X509_free(certificate);
    return {reinterpret_cast<const char*>(digest), size};
  }

  bool connected = false;

 protected:
  ssize_t SendSome(std::string_view bytes) override {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
  }
  ssize_t ReceiveSome(char* into, size_t size) override {
    return SSL_read(ssl_, into, static_cast<int>(size));
  }

 private:
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

class TlsServerTest : public ::testing::Test {
 protected:
  HttpOptions Options() {
    HttpOptions options;
    options.certificate = own_.certificate;
    options.private_key = own_.key;
    return options;
  }

  TemporaryFolder folder_;
  Certificate own_{folder_, "own"};
};

TEST_F(TlsServerTest, RequestsGoThroughTls12And13) {
  RunningServer server(EchoRequest, Options());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(server.port(), version);
    ASSERT_TRUE(client.connected);
    EXPECT_EQ(client.Version(), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    EXPECT_EQ(client.Protocol(), "http/1.1");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.Ask(kGet).body, "GET /a? ");
    const std::string large(5'000'000, 'a');
    EXPECT_EQ(client.Ask(PostOf(large)).body, "POST /post? 5000000");
  }
}

TEST_F(TlsServerTest, ARenewedCertificateIsForNewConnections) {
  RunningServer server(EchoRequest, Options());
  TlsClient before(server.port());
  EXPECT_EQ(before.Ask(kGet).status, 200);
  const std::string old = before.Fingerprint();
  const Certificate renewed(folder_, "own");  // in the same files
  server.server().Reload();
  TlsClient after(server.port());
  EXPECT_EQ(after.Ask(kGet).status, 200);
  EXPECT_NE(after.Fingerprint(), old);
  EXPECT_EQ(before.Ask(kGet).status, 200);
  EXPECT_EQ(before.Fingerprint(), old);
}

TEST_F(TlsServerTest, OlderTlsAndPlainTextAreRefused) {
  HttpOptions options = Options();
  RunningServer server(EchoRequest, options);
  EXPECT_FALSE(TlsClient(server.port(), TLS1_1_VERSION).connected);
  RawClient plain(server.port());
  ASSERT_TRUE(plain.Write(kGet));
  EXPECT_EQ(plain.ReadAll().find("HTTP/1.1 200"), std::string::npos);
  EXPECT_EQ(TlsClient(server.port()).Ask(kGet).status, 200);
}

TEST_F(TlsServerTest, StreamsPingsAndLargeRepliesGoThroughTls) {
  HttpOptions options = Options();
  options.limits.ping_time = std::chrono::milliseconds(20);
  KeptReplies kept;
  RunningServer server(kept.Handler(), options);
  TlsClient client(server.port());
  ASSERT_TRUE(client.Write(kGet));
  const auto reply = kept.WaitForOne();
  reply->BeginStream(200, "text/event-stream");
  client.ReadHead();
  EXPECT_EQ(client.ReadChunk(), ": ping\n\n");
  reply->Write(std::string(10 << 20, 'a'));
  reply->End();
  size_t bytes = 0;
  for (auto chunk = client.ReadChunk(); chunk && !chunk->empty(); chunk = client.ReadChunk()) {
    if (*chunk != ": ping\n\n") bytes += chunk->size();
  }
  EXPECT_EQ(bytes, size_t{10} << 20);
}

TEST_F(TlsServerTest, GoneTlsClientsAreNoticed) {
  KeptReplies kept;
  RunningServer server(kept.Handler(), Options());
  std::shared_ptr<HttpReply> reply;
  {
    TlsClient client(server.port());
    ASSERT_TRUE(client.Write(kGet));
    reply = kept.WaitForOne();
  }
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) { return all.gone == 1; }));
  EXPECT_TRUE(reply->gone());
}

TEST_F(TlsServerTest, HandshakeHasATimeLimit) {
  HttpOptions options = Options();
  options.limits.header_time = std::chrono::milliseconds(50);
  RunningServer server(EchoRequest, options);
  RawClient silent(server.port());
  EXPECT_TRUE(silent.AtEnd());
}

TEST_F(TlsServerTest, FilesThatDoNotFitAreRefused) {
  const Certificate other(folder_, "other");
  const auto failure = [&](const std::filesystem::path& certificate,
                           const std::filesystem::path& key) {
    HttpOptions options;
    options.port = 0;
    options.certificate = certificate;
    options.private_key = key;
    try {
      const HttpServer server(options, EchoRequest);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(failure(own_.certificate, own_.key), "");
  EXPECT_TRUE(failure(own_.certificate, other.key).starts_with(other.key.string()));
  EXPECT_TRUE(failure(own_.key, own_.key).starts_with(own_.key.string() + ": holds no certif"));
  EXPECT_TRUE(failure(own_.certificate, own_.certificate).starts_with(own_.certificate.string()));
  EXPECT_TRUE(failure(folder_ / "missing", own_.key).ends_with("cannot be read"));
}

}  // namespace
}  // namespace linnet
