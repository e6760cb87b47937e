// linnet serve: models over HTTP, for clients of OpenAI's, Anthropic's and Ollama's interfaces.
#include <fmt/format.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/user_folders.h"
#include "cli/cli.h"
#include "cli/model.h"
#include "cli/option_file.h"
#include "cli/pulled_store.h"
#include "cli/serve_models.h"
#include "cli/service_manager.h"
#include "http/api_keys.h"
#include "http/http.h"
#include "server/api.h"
#include "server/error_forms.h"
#include "server/page.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct ServeFlags {
  ServeModelOptions models;
  HttpOptions http;
  std::string log_format = "text";
  fs::path state_key, lora_dir;
  std::string hash_key;
  uint64_t grace = 30;
  bool check = false, quiet = false, log_prompts = false, allow_pull = false;
};

std::string Address(const HttpOptions& http, uint16_t port) {
  if (!http.inherited.empty()) {
    return port != 0 ? fmt::format("port {}, a socket of the service manager", port)
                     : "a socket of the service manager";
  }
  if (http.host.empty()) return "unix:" + http.unix_socket.string();
  const bool v6 = http.host.find(':') != std::string::npos;
  return fmt::format("{}://{}:{}", http.certificate.empty() ? "http" : "https",
                     v6 ? "[" + http.host + "]" : http.host, port);
}

void ReloadSecrets(HttpServer& server) {
  try {
    server.Reload();
    Say("linnet: keys and certificates were read again\n");
  } catch (const Error& error) {
    Say(fmt::format("linnet: nothing was read again: {}\n", error.what()));
  }
}

// Returns at the first signal that asks the program to end, or when the server has ended by itself.
void WaitForSignal(HttpServer& server, const std::atomic<bool>& ended) {
  while (!InterruptScope::Interrupted() && !ended) {
    pollfd wake{.fd = WakeDescriptor(), .events = POLLIN, .revents = 0};
    poll(&wake, 1, -1);
    if (InterruptScope::Interrupted()) return;
    ClearWakes();
    if (ReloadAsked()) ReloadSecrets(server);
  }
}

// The line of a key file for the secret on stdin.
void PrintKeyLine(const std::string& name) {
  std::string secret;
  std::getline(std::cin, secret);
  if (!secret.empty() && secret.back() == '\r') secret.pop_back();
  if (secret.empty()) {
    throw Error(ErrorKind::kBadInput, "stdin: has no secret, expected one line with it");
  }
  const std::string line = ApiKeyLine(name, secret);
  ApiKeys().Parse(line, "--hash-key", false);  // throws for a bad name
  Print(line + "\n");
}

ModelChanges ChangesOf(const ServeFlags& o, std::optional<PulledStore>& store) {
  if (!store) return {.way_out = "start it with --models-dir FOLDER, where they are kept"};
  return {.store = &*store,
          .from_here = o.allow_pull,
          .way_out =
              "send a key of --admin-key-file, or start a server without keys with "
              "--allow-pull and ask from its own machine"};
}

void Run(ServeFlags& o) {
  if (!o.hash_key.empty()) return PrintKeyLine(o.hash_key);
  o.http.log_format = o.log_format == "json" ? HttpLogFormat::kJson : HttpLogFormat::kText;
  if (!o.quiet) {
    o.http.log = [](std::string_view line) { Say(std::string(line) + "\n"); };
  }
  if (o.models.state_folder.empty()) {
    o.models.state_folder = XdgFolder("XDG_STATE_HOME", HomeFolder(), ".local/state");
  }
  if (o.models.no_disk) o.models.state_folder.clear();
  o.http.inherited = InheritedSockets();
  const InterruptScope interrupts(InterruptScope::Patience::kOnce);
  KeptStatesOptions kept{.folder = o.models.state_folder};
  if (!o.state_key.empty()) kept.key = ReadStateKey(o.state_key);
  o.models.kept_states = std::make_shared<KeptStates>(kept);
  Metrics metrics;
  ServeModels models(o.models, metrics);
  InterruptScope::Check();
  // A state in Base64, and what else is in such a request.
  o.http.limits.body_bytes =
      std::max<uint64_t>(o.http.limits.body_bytes, 2 * models.state_bytes() + (uint64_t{1} << 20));
  std::optional<PulledStore> store;
  if (!o.models.models_dir.empty()) store.emplace(o.models.models_dir, models.served());
  Api api(models.served(), metrics,
          {.folder = o.models.state_folder,
           .states = o.models.kept_states,
           .lora_folder = o.lora_dir,
           .changes = ChangesOf(o, store)});
  metrics.AddResponses([&api] { return api.responses().statistics(); });
  for (std::string& path : PagePaths()) o.http.open_paths.push_back(std::move(path));
  o.http.error_body = RefusalText;
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

  ReloadOnHangup();
  std::exception_ptr failure;
  std::atomic<bool> ended = false;
  std::thread serving([&] {
    try {
      server.Run();
    } catch (...) {
      failure = std::current_exception();
    }
    ended = true;
    Wake();
  });
  api.SetReady(true);
  Say(fmt::format("linnet: listening on {}\n", Address(o.http, server.port())));
  NotifyManager("READY=1");
  WaitForSignal(server, ended);
  NotifyManager("STOPPING=1");
  api.SetReady(false);
  const auto until = Clock::now() + std::chrono::seconds(o.grace);
  if (store) store->Stop();  // a pull takes longer than anyone waits, and the next one resumes it
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
    "SIGHUP reads keys and certificates again. With --models-dir, models are loaded when requests\n"
    "ask for them, within --memory.\n"
    "Every option can stand in a file: --config serve.toml.";

}  // namespace

void AddServe(CLI::App& app) {
  const auto o = std::make_shared<ServeFlags>();
  CLI::App* command =
      AddCommand(app, "serve", "Answer clients of OpenAI, Anthropic and Ollama over HTTP",
                 kServeExample, o->models.common, [o] { Run(*o); });
  command->add_option("MODEL", o->models.names, kOptionalModelHelp)->expected(0, -1);
  command->add_option("--host", o->http.host, "Listen on this address")->capture_default_str();
  command->add_option("--port", o->http.port, "0: any free port")->capture_default_str();
  command->add_option("--unix", o->http.unix_socket, "Listen on this socket too")
      ->type_name("FILE");
  command->add_option("--api-key-file", o->http.api_keys, "Answer only requests with these keys")
      ->type_name("FILE");
  command->add_option("--admin-key-file", o->http.admin_keys, "Keys that may do more")
      ->type_name("FILE");
  command
      ->add_option("--hash-key", o->hash_key,
                   "Only print the line of a key file for the secret on stdin")
      ->type_name("NAME");
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
  command
      ->add_option("--models-dir", o->models.models_dir,
                   "Serve the models in this folder too; each is loaded when it is asked for")
      ->type_name("FOLDER");
  command
      ->add_flag("--allow-pull", o->allow_pull,
                 "Without keys, clients on this machine may pull, copy and delete models in "
                 "--models-dir; those with an admin key always may")
      ->needs("--models-dir");
  command
      ->add_option("--memory", o->models.memory_bytes,
                   "The most that the weights of all models may take, such as 8GB: those of "
                   "--models-dir that nobody uses are unloaded to make room; default: no limit")
      ->transform(CLI::AsSizeValue(true))
      ->type_name("SIZE");
  command
      ->add_option("--lora-dir", o->lora_dir,
                   "Adapters that administrators may load, for requests with the field `lora`")
      ->type_name("FOLDER")
      ->check(CLI::ExistingDirectory);
  command->add_option("--state-dir", o->models.state_folder, "Where states and responses are kept")
      ->type_name("FOLDER");
  command
      ->add_option("--state-key-file", o->state_key,
                   "A secret that signs states which clients keep; the same on servers that "
                   "accept each other's")
      ->type_name("FILE");
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
  command
      ->add_option("--reranker", o->models.reranker,
                   "EmbeddingRWKV's second file, for /v1/rerank; MODEL is then its first")
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
  AddOptionFile(*command);
  AddSpeculationOptions(*command, o->models.speculation);
  AddAdapterOption(*command, o->models.common);
  AddRowOptions(*command, o->models.common);
}

}  // namespace linnet::cli
