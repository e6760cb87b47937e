#include "http/http_listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "base/sanitized.h"
#include "http/http.h"
#include "http/raw_client.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using test::EchoRequest;
using test::kGet;
using test::RawClient;
using test::RunningServer;

Peer PeerOfV6(const char* address) {
  sockaddr_storage storage{};
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(5);
  inet_pton(AF_INET6, address, &v6->sin6_addr);
  return PeerOf(storage);
}

TEST(ListenerTest, PeersAreCountedByWhatOneClientHas) {
  sockaddr_storage v4{};
  v4.ss_family = AF_INET;
  reinterpret_cast<sockaddr_in*>(&v4)->sin_port = htons(5);
  reinterpret_cast<sockaddr_in*>(&v4)->sin_addr.s_addr = htonl(0x0a010203);
  EXPECT_EQ(PeerOf(v4).name, "10.1.2.3:5");
  EXPECT_EQ(PeerOf(v4).address, "10.1.2.3");
  EXPECT_EQ(PeerOfV6("::ffff:10.1.2.3").name, "10.1.2.3:5");
  EXPECT_EQ(PeerOfV6("::ffff:10.1.2.3").address, "10.1.2.3");
  EXPECT_EQ(PeerOfV6("2001:db8::1").name, "[2001:db8::1]:5");
  EXPECT_EQ(PeerOfV6("2001:db8::1").address, PeerOfV6("2001:db8::ffff:1").address);
  EXPECT_NE(PeerOfV6("2001:db8::1").address, PeerOfV6("2001:db8:0:1::1").address);
  const sockaddr_storage none{};
  EXPECT_EQ(PeerOf(none).name, "unix");
  EXPECT_EQ(PeerOf(none).address, "");
}

TEST(ListenerTest, LoopbackIsToldFromOtherAddresses) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "localhost"}) {
    EXPECT_TRUE(IsLoopbackHost(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1"}) EXPECT_FALSE(IsLoopbackHost(host)) << host;
  EXPECT_THROW(IsLoopbackHost("no-such-host.invalid"), Error);
}

TEST(ListenerTest, NameIsListenedOnAtAllItsAddresses) {
  HttpOptions options;
  options.host = "localhost";
  RunningServer server(EchoRequest, options);
  EXPECT_EQ(RawClient(server.port()).Ask(kGet).status, 200);
}

// The client's connection waits in the kernel until there is a descriptor for it.
TEST(ListenerTest, ServerGoesOnAfterItHadNoDescriptors) {
  if (kSanitized) GTEST_SKIP() << "UBSan asks a pipe whether memory can be read: two descriptors";
  RunningServer server(EchoRequest);
  EXPECT_EQ(RawClient(server.port()).Ask(kGet).status, 200);
  EXPECT_TRUE(server.WaitFor([](const HttpStatistics& all) { return all.connections == 0; }));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = open("/dev/null", O_RDONLY);
  close(next);
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(next) + 1;  // for the client, not for the server
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  RawClient client(server.port());
  ASSERT_TRUE(client.Write(kGet));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(server.server().statistics().connections, 0u);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(client.Read().status, 200);
}

TEST(ListenerTest, FileLimitIsRaisedAsFarAsAllowed) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(RaiseFileLimit(32), 64u);  // never lowered
  const size_t wanted = static_cast<size_t>(std::min<rlim_t>(before.rlim_max, 100));
  EXPECT_EQ(RaiseFileLimit(100), wanted);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// A listening socket on a free port of this address.
int ListeningOn(uint32_t address) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(address);
  EXPECT_EQ(bind(socket, reinterpret_cast<const sockaddr*>(&place), sizeof(place)), 0);
  EXPECT_EQ(listen(socket, 8), 0);
  return socket;
}

TEST(ListenerTest, InheritedSocketsReplaceAddresses) {
  HttpOptions options;
  options.host = "no-such-host.invalid";
  options.inherited = {ListeningOn(INADDR_LOOPBACK), ListeningOn(INADDR_LOOPBACK)};
  RunningServer server(EchoRequest, options);
  EXPECT_NE(server.port(), 0);
  EXPECT_EQ(RawClient(server.port()).Ask(kGet).status, 200);
}

TEST(ListenerTest, InheritedSocketsAreChecked) {
  HttpOptions options;
  options.port = 0;
  options.inherited = {ListeningOn(INADDR_ANY)};
  EXPECT_THROW(HttpServer(options, EchoRequest), Error);  // everybody, without keys
  options.allow_open = true;
  options.inherited = {ListeningOn(INADDR_ANY)};
  EXPECT_NO_THROW(HttpServer(options, EchoRequest));
  for (const int wrong : {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                          socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                          open("/dev/null", O_RDONLY | O_CLOEXEC), 1000000}) {
    options.inherited = {wrong};
    EXPECT_THROW(HttpServer(options, EchoRequest), Error);
    close(wrong);
  }
}

}  // namespace
}  // namespace linnet
