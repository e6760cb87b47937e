// Puts load on a server with OpenAI's routes and prints what its clients see, as JSON.
//
//   serve_load --port 8080 --streams 64 --prompt 64 --tokens 128 [--requests N] [--sampled]
//
// Each stream is one connection that sends one request for a completion after the other. Prompts
// are random ids, a different one for each request. One thread and epoll: the generator's own
// processor time is part of the result, because it takes it from the server.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Options {
  std::string host = "127.0.0.1", path = "/v1/completions", model, key, extra;
  int port = 8080;
  size_t streams = 1, requests = 0, prompt = 64, tokens = 128, vocab = 65000, seed = 1;
  bool sampled = false, text = false;
};

double Now() {
  using std::chrono::steady_clock;
  return std::chrono::duration<double>(steady_clock::now().time_since_epoch()).count();
}

double ProcessorSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

[[noreturn]] void Fail(const std::string& what) { throw std::runtime_error(what); }

// One connection: the request that it sends and the answer that it reads.
struct Stream {
  int socket = -1;
  std::string out, in;
  size_t sent = 0;
  bool headers_read = false, ended = true;
  double began = 0, last = 0;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), random_(options.seed) {
    if (options_.requests == 0) options_.requests = options_.streams;
  }

  nlohmann::json Run() {
    poll_ = epoll_create1(0);
    const double begin = Now();
    streams_.resize(std::min(options_.streams, options_.requests));
    for (size_t i = 0; i < streams_.size(); ++i) Start(i);
    std::vector<epoll_event> events(256);
    while (ended_ < options_.requests) {
      const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      if (count < 0 && errno != EINTR) Fail("epoll_wait failed");
      for (int i = 0; i < count; ++i) {
        const auto at = static_cast<size_t>(events[static_cast<size_t>(i)].data.u64);
        if (events[static_cast<size_t>(i)].events & EPOLLOUT) Write(at);
        if (events[static_cast<size_t>(i)].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) Read(at);
      }
    }
    return Result(Now() - begin);
  }

 private:
  void Start(size_t at) {
    Stream& s = streams_[at];
    if (s.socket < 0) Connect(at);
    const std::string body = Body();
    s.out = fmt::format(
        "POST {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\n{}"
        "Content-Length: {}\r\n\r\n{}",
        options_.path, options_.host, options_.port,
        options_.key.empty() ? "" : "Authorization: Bearer " + options_.key + "\r\n", body.size(),
        body);
    s.sent = 0;
    s.in.clear();
    s.headers_read = s.ended = false;
    s.began = Now();
    s.last = 0;
    ++started_;
    Write(at);
  }

  std::string Body() {
    nlohmann::json body =
        options_.extra.empty() ? nlohmann::json::object() : nlohmann::json::parse(options_.extra);
    if (!options_.model.empty()) body["model"] = options_.model;
    std::uniform_int_distribution<size_t> id(1, options_.vocab - 1);
    if (options_.text) {
      std::string prompt;
      for (size_t i = 0; i < options_.prompt; ++i) prompt += fmt::format(" {}", id(random_) % 10);
      body["prompt"] = prompt;
    } else {
      std::vector<size_t> prompt(options_.prompt);
      for (size_t& token : prompt) token = id(random_);
      body["prompt"] = prompt;
    }
    body["max_tokens"] = options_.tokens;
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    body["ignore_eos"] = true;
    if (!options_.sampled) body["temperature"] = 0;
    return body.dump();
  }

  void Connect(size_t at) {
    Stream& s = streams_[at];
    s.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(options_.port));
    if (inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1) {
      Fail(options_.host + ": expected an IPv4 address");
    }
    if (connect(s.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      Fail(fmt::format("{}:{}: {}", options_.host, options_.port, std::strerror(errno)));
    }
    const int on = 1;
    setsockopt(s.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(s.socket, F_SETFL, O_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = at;
    epoll_ctl(poll_, EPOLL_CTL_ADD, s.socket, &event);
  }

  void Write(size_t at) {
    Stream& s = streams_[at];
    while (s.sent < s.out.size()) {
      const ssize_t n = send(s.socket, s.out.data() + s.sent, s.out.size() - s.sent, MSG_NOSIGNAL);
      if (n < 0) break;
      s.sent += static_cast<size_t>(n);
    }
    epoll_event event{};
    event.events = EPOLLIN | (s.sent < s.out.size() ? uint32_t{EPOLLOUT} : 0u);
    event.data.u64 = at;
    epoll_ctl(poll_, EPOLL_CTL_MOD, s.socket, &event);
  }

  void Read(size_t at) {
    Stream& s = streams_[at];
    char buffer[16384];
    bool closed = false;
    for (;;) {
      const ssize_t n = recv(s.socket, buffer, sizeof buffer, 0);
      if (n > 0) {
        s.in.append(buffer, static_cast<size_t>(n));
        continue;
      }
      closed = n == 0 || (errno != EAGAIN && errno != EINTR);
      break;
    }
    Take(s);
    if (s.ended || closed) {
      if (!s.ended) ++failed_;
      ++ended_;
      close(s.socket);
      s.socket = -1;
      if (started_ < options_.requests) Start(at);
    }
  }

  // Takes the events that have arrived whole. The lengths of chunks are skipped: no line of theirs
  // begins with "data:".
  void Take(Stream& s) {
    const double now = Now();
    if (!s.headers_read) {
      const size_t end = s.in.find("\r\n\r\n");
      if (end == std::string::npos) return;
      if (s.in.compare(0, 12, "HTTP/1.1 200") != 0) {
        if (first_error_.empty()) first_error_ = s.in.substr(0, 400);
        ++failed_;
        s.ended = true;
        return;
      }
      s.in.erase(0, end + 4);
      s.headers_read = true;
    }
    size_t begin = 0;
    for (size_t end = 0; (end = s.in.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string_view line = std::string_view(s.in).substr(begin, end - begin);
      if (line.substr(0, 6) != "data: ") continue;
      if (line.find("[DONE]") != std::string_view::npos) {
        s.ended = true;
        break;
      }
      const size_t usage = line.find("\"completion_tokens\":");
      if (usage != std::string_view::npos) {
        tokens_ += std::stoul(std::string(line.substr(usage + 20, 12)));
      }
      if (line.find("\"choices\":[]") != std::string_view::npos) continue;
      if (s.last == 0) {
        first_.push_back(now - s.began);
      } else {
        between_.push_back(now - s.last);
      }
      s.last = now;
    }
    s.in.erase(0, begin);
  }

  nlohmann::json Result(double seconds) const {
    const auto quantiles = [](const std::vector<double>& values) {
      return nlohmann::json{{"median", Quantile(values, 0.5)},
                            {"p95", Quantile(values, 0.95)},
                            {"max", Quantile(values, 1)}};
    };
    nlohmann::json result{{"streams", streams_.size()},
                          {"requests", options_.requests},
                          {"failed", failed_},
                          {"tokens", tokens_},
                          {"seconds", seconds},
                          {"tokens_per_s", static_cast<double>(tokens_) / seconds},
                          {"first_token_s", quantiles(first_)},
                          {"between_events_s", quantiles(between_)},
                          {"generator_cpu_s", ProcessorSeconds()}};
    if (!first_error_.empty()) result["first_error"] = first_error_;
    return result;
  }

  Options options_;
  std::mt19937_64 random_;
  int poll_ = -1;
  std::vector<Stream> streams_;
  size_t started_ = 0, ended_ = 0, failed_ = 0, tokens_ = 0;
  std::vector<double> first_, between_;
  std::string first_error_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Puts load on a server with OpenAI's routes");
  app.add_option("--host", options.host);
  app.add_option("--port", options.port);
  app.add_option("--path", options.path);
  app.add_option("--model", options.model);
  app.add_option("--key", options.key, "An API key");
  app.add_option("--streams", options.streams, "Requests at once");
  app.add_option("--requests", options.requests, "In total; default: one a stream");
  app.add_option("--prompt", options.prompt, "Tokens of a prompt");
  app.add_option("--tokens", options.tokens, "Tokens of an answer");
  app.add_option("--vocab", options.vocab, "Prompts are ids below this");
  app.add_option("--seed", options.seed);
  app.add_option("--extra", options.extra, "JSON object: further fields of each request");
  app.add_flag("--sampled", options.sampled, "The server's default sampling; else greedy");
  app.add_flag("--text", options.text, "Prompts are text, for servers that take no ids");
  CLI11_PARSE(app, argc, argv);
  try {
    fmt::print("{}\n", Load(options).Run().dump(2));
  } catch (const std::exception& error) {
    fmt::print(stderr, "serve_load: {}\n", error.what());
    return 1;
  }
  return 0;
}
