// linnet serve as an operator runs it: options from a file, --check, sockets of a service manager.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "program.h"

namespace linnet {
namespace {

class ServeConfigTest : public testing::Test {
 protected:
  ServeConfigTest() {
    model_ = scratch_ / "tiny.safetensors";
    EXPECT_EQ(RunLinnet({"init", "--generation", "7", "--layers", "2", "--width", "64", "--random",
                         model_})
                  .exit_code,
              0);
  }
  // serve --check with this file.
  Outcome Check(const std::string& toml, const Words& more = {}) {
    config_ = scratch_ / "serve.toml";
    WriteFile(config_, toml);
    return RunLinnet(Words{"serve", "--check", "--no-disk-cache", "--config", config_} + more);
  }
  ScratchFolder scratch_;
  std::string model_, config_;
};

TEST_F(ServeConfigTest, FileHasEveryKindOfOption) {
  const std::string keys = scratch_ / "keys";
  WriteFile(keys, "anna sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\n");
  const Outcome run =
      Check("# a comment\nmodel = [\"" + model_ + "\"]\nhost = \"0.0.0.0\"\nport = 0\n" +
            "api-key-file = \"" + keys + "\"\nquiet = true\nshared-cache = false\n" +
            "cors = [\"https://a.example\", \"https://b.example\"]\ngrace = 5\n" +
            "log-format = \"json\"\nthreads = 1\nquant = \"int8\"\n");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("valid"), std::string::npos);
  // The keys were read: without them other machines would be refused.
  const Outcome open = Check("model = \"" + model_ + "\"\nhost = \"0.0.0.0\"\nport = 0\n");
  EXPECT_EQ(open.exit_code, 1);
  EXPECT_NE(open.err.find("--api-key-file"), std::string::npos) << open.err;
}

TEST_F(ServeConfigTest, CommandLineHasTheLastWord) {
  EXPECT_EQ(Check("model = \"" + model_ + "\"\nport = 0\nlog-format = \"text\"\nhost = \"0.0.0.0\"",
                  {"--host", "127.0.0.1"})
                .exit_code,
            0);
}

TEST_F(ServeConfigTest, MistakesNameFileAndLine) {
  const std::map<std::string, std::string> mistakes = {
      {"port = 8080\nprot = 1", ":2: 'prot' is no option of linnet serve; did you mean port?"},
      {"port = \"abc\"", ":1: --port: 'abc' is not a whole number"},
      {"port = 99999999", ":1: --port"},
      {"port = -1", ":1: --port"},
      {"port = [1, 2]", ":1: port takes one value"},
      {"\nport = true", ":2: port is 'true', expected a value"},
      {"quiet = \"yes\"", ":1: quiet is 'yes', expected true or false"},
      {"log-format = \"xml\"", ":1: --log-format"},
      {"[server]\nport = 1", "'server' is no option"},
      {"cors = [[\"a\"]]", "cors is a table, a date or a list of lists"},
      {"port = 8080\nport = 8081", ":2: "},
      {"port = ", ":1: "},
      {"config = \"other.toml\"", "'config' is no option"},
      {"help = true", "'help' is no option"},
      {std::string("a = \"\xFF\""), ":1: "},
      {std::string(100'000, '['), "serve.toml:"},
      {std::string(2 << 20, '#'), "over 1 MB"}};
  for (const auto& [toml, expected] : mistakes) {
    const Outcome run = Check(toml);
    EXPECT_EQ(run.exit_code, 1) << toml.substr(0, 100);
    EXPECT_NE(run.err.find(expected), std::string::npos) << toml.substr(0, 100) << "\n" << run.err;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  }
  const Outcome missing = RunLinnet({"serve", "--check", "--config", scratch_ / "none.toml"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.err.find("no such file"), std::string::npos);
  EXPECT_EQ(RunLinnet({"serve", "--check", "--config", scratch_ / "."}).exit_code, 1);
}

// A server that was started with descriptor 3 as its socket, as systemd does it.
class ActivatedServer {
 public:
  ActivatedServer(const std::string& model, const std::string& notify) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = address.sin_port;
    child_ = fork();
    if (child_ == 0) {
      const int high = fcntl(listener_, F_DUPFD, 10);
      dup2(high, 3);
      close(high);
      setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
      setenv("LISTEN_FDS", "1", 1);
      setenv("NOTIFY_SOCKET", notify.c_str(), 1);
      const int nowhere = open("/dev/null", O_WRONLY);
      dup2(nowhere, STDERR_FILENO);
      // --host would need keys: it is not used.
      execl(LINNET_PROGRAM, "linnet", "serve", model.c_str(), "--no-disk-cache", "--port", "1",
            static_cast<char*>(nullptr));
      _exit(127);
    }
  }
  ~ActivatedServer() { close(listener_); }

  std::string Get(const std::string& path) const {
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = port_;
    EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    const std::string request =
        "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(send(client, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string reply;
    char bytes[4096];
    for (ssize_t got; (got = recv(client, bytes, sizeof(bytes), 0)) > 0;) {
      reply.append(bytes, static_cast<size_t>(got));
    }
    close(client);
    return reply;
  }
  int Stop() {
    kill(child_, SIGTERM);
    int status = 0;
    waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  int listener_ = -1;
  in_port_t port_ = 0;
  pid_t child_ = -1;
};

// The names of the metrics that docs/grafana-dashboard.json shows.
std::set<std::string> DashboardMetrics() {
  const std::string text = ReadFile("docs/grafana-dashboard.json");
  const std::regex name("linnet_[a-z_]+");
  std::set<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at) {
    std::string metric = at->str();
    if (metric.ends_with("_bucket")) metric.erase(metric.size() - std::strlen("_bucket"));
    names.insert(metric);
  }
  EXPECT_GT(names.size(), 15u);
  return names;
}

TEST_F(ServeConfigTest, SocketOfTheServiceManagerIsServed) {
  const std::string path = scratch_ / "notify";
  const int notified = socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(notified, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const auto next = [&] {
    char bytes[100];
    const ssize_t got = recv(notified, bytes, sizeof(bytes), 0);
    return got < 0 ? "" : std::string(bytes, static_cast<size_t>(got));
  };
  ActivatedServer server(model_, path);
  // The connection waits in the kernel until the server is ready.
  EXPECT_NE(server.Get("/health").find("200 OK"), std::string::npos);
  EXPECT_EQ(next(), "READY=1");
  const std::string metrics = server.Get("/metrics");
  EXPECT_NE(metrics.find("200 OK"), std::string::npos);
  for (const std::string& name : DashboardMetrics()) {
    EXPECT_NE(metrics.find("\n# HELP " + name + " "), std::string::npos) << name;
  }
  EXPECT_EQ(server.Stop(), 0);
  EXPECT_EQ(next(), "STOPPING=1");
  close(notified);
}

}  // namespace
}  // namespace linnet
