// linnet serve: models over HTTP, for clients of OpenAI's interface.
#include <fmt/format.h>
#include <poll.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/serve_models.h"
#include "http/http.h"
#include "server/api.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct ServeFlags {
  ServeModelOptions models;
  HttpOptions http;
  std::string log_format = "text";
  uint64_t grace = 30;
  bool check = false, quiet = false, log_prompts = false;
};

// $XDG_STATE_HOME/linnet, or ~/.local/state/linnet; empty if there is no home.
fs::path StateFolder() {
  if (const char* folder = std::getenv("XDG_STATE_HOME"); folder != nullptr && *folder == '/') {
    return fs::path(folder) / "linnet";
  }
  const fs::path home = HomeFolder();
  return home.empty() ? home : home / ".local/state/linnet";
}

std::string Address(const HttpOptions& http, uint16_t port) {
  if (http.host.empty()) return "unix:" + http.unix_socket.string();
  const bool v6 = http.host.find(':') != std::string::npos;
  return fmt::format("{}://{}:{}", http.certificate.empty() ? "http" : "https",
                     v6 ? "[" + http.host + "]" : http.host, port);
}

// Returns at the first signal that asks the program to end, or when `ended` has become readable.
void WaitForSignal() {
  while (!InterruptScope::Interrupted()) {
    pollfd wake{.fd = WakeDescriptor(), .events = POLLIN, .revents = 0};
    poll(&wake, 1, -1);
    if (!InterruptScope::Interrupted()) {
      ClearWakes();
      break;  // the server ended by itself
    }
  }
}

void Run(ServeFlags& o) {
  o.http.log_format = o.log_format == "json" ? HttpLogFormat::kJson : HttpLogFormat::kText;
  if (!o.quiet) {
    o.http.log = [](std::string_view line) { Say(std::string(line) + "\n"); };
  }
  if (o.models.state_folder.empty()) o.models.state_folder = StateFolder();
  if (o.models.no_disk) o.models.state_folder.clear();
  const InterruptScope interrupts(InterruptScope::Patience::kOnce);
  Metrics metrics;
  ServeModels models(o.models, metrics);
  InterruptScope::Check();
  Api api(models.served(), metrics, {.folder = o.models.state_folder});
  metrics.AddResponses([&api] { return api.responses().statistics(); });
  HttpServer server(o.http, [&](HttpRequest request, std::shared_ptr<HttpReply> reply) {
    if (o.log_prompts && !request.body.empty()) {
      Say(fmt::format("{} asks {}\n", request.id, nlohmann::json(request.body).dump()));
    }
    api.router().Handle(std::move(request), std::move(reply));
  });
  metrics.AddHttp([&server] { return server.statistics(); });
  if (o.check) {
    Say("linnet: the settings are valid\n");
    return;
  }

  std::exception_ptr failure;
  std::thread serving([&] {
    try {
      server.Run();
    } catch (...) {
      failure = std::current_exception();
    }
    Wake();
  });
  api.SetReady(true);
  Say(fmt::format("linnet: listening on {}\n", Address(o.http, server.port())));
  WaitForSignal();
  api.SetReady(false);
  const auto until = Clock::now() + std::chrono::seconds(o.grace);
  server.Stop(until);
  models.Stop(until);
  server.Stop(until);
  serving.join();
  models.Flush();
  if (failure) std::rethrow_exception(failure);
  // SIGTERM is how a server is asked to end; Ctrl-C is an interruption as everywhere.
  if (!InterruptScope::Ended()) InterruptScope::Check();
}

constexpr const char* kServeExample =
    "linnet serve model.pth --port 8080\n"
    "curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
    "  -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a story about a fox.\"}]}'\n\n"
    "Without MODEL, the small built-in model is served. Models are called by the stem of their\n"
    "file, or `builtin`; the first is used if a request names none. When requests are answered,\n"
    "one line on stderr says where: `linnet: listening on http://127.0.0.1:8080`.\n"
    "Only this machine can connect. Other addresses need --api-key-file, a file with one key a\n"
    "line, `NAME sha256:HEX`, where HEX is the SHA-256 of the key.\n"
    "States of conversations are kept in --state-dir, so that the next turn, also after a\n"
    "restart, reads only what is new. SIGTERM ends running requests within --grace, exit code 0.\n"
    "Every option can stand in a file: --config serve.toml.";

}  // namespace

void AddServe(CLI::App& app) {
  const auto o = std::make_shared<ServeFlags>();
  CLI::App* command = AddCommand(app, "serve", "Answer OpenAI's clients over HTTP", kServeExample,
                                 o->models.common, [o] { Run(*o); });
  command->add_option("MODEL", o->models.names, kOptionalModelHelp)->expected(0, -1);
  command->add_option("--host", o->http.host, "Listen on this address")->capture_default_str();
  command->add_option("--port", o->http.port, "0: any free port")->capture_default_str();
  command->add_option("--unix", o->http.unix_socket, "Listen on this socket too")
      ->type_name("FILE");
  command->add_option("--api-key-file", o->http.api_keys, "Answer only requests with these keys")
      ->type_name("FILE");
  command->add_option("--admin-key-file", o->http.admin_keys, "Keys that may do more")
      ->type_name("FILE");
  command->add_flag("--allow-open", o->http.allow_open, "Serve other machines without keys");
  command->add_option("--tls-cert", o->http.certificate, "PEM, leaf first; with --tls-key")
      ->type_name("FILE");
  command->add_option("--tls-key", o->http.private_key, "PEM")->type_name("FILE");
  command
      ->add_option("--allowed-host", o->http.allowed_hosts,
                   "A name by which clients may call this machine; *: any")
      ->type_name("NAME...");
  command
      ->add_option("--cors", o->http.cors_origins,
                   "Origins of web pages that may use the server; *: any")
      ->type_name("ORIGIN...");
  command->add_option("--state-dir", o->models.state_folder, "Where states and responses are kept")
      ->type_name("FOLDER");
  command->add_option("--cache-bytes", o->models.cache_bytes,
                      "Memory for states of earlier texts; 0: a quarter of what is available");
  command->add_option("--disk-bytes", o->models.disk_bytes, "The same on disk")
      ->capture_default_str();
  command->add_flag("--shared-cache", o->models.shared_cache,
                    "States are found by all keys; times tell what others have sent");
  command->add_flag("--no-disk-cache", o->models.no_disk, "Keep states in memory only");
  command
      ->add_option("--template-file", o->models.template_file,
                   "The chat template, as docs/http-api.md describes")
      ->type_name("FILE");
  command->add_option("--max-running", o->models.max_running, "Texts generated at the same time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--max-tokens", o->models.max_tokens, "Of a reply, if a request does not say")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  command->add_option("--grace", o->grace, "Seconds for running requests after SIGTERM")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  command->add_flag("--check", o->check, "Only check the settings, models and files");
  command->add_flag("--log-prompts", o->log_prompts, "Log the bodies of requests");
  command->add_option("--log-format", o->log_format)
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->add_flag("--quiet", o->quiet, "Log no requests");
  command->set_config("--config", "", "A file of options, `port = 8080`");
  AddSpeculationOptions(*command, o->models.speculation);
  AddAdapterOption(*command, o->models.common);
  AddRowOptions(*command, o->models.common);
}

}  // namespace linnet::cli
