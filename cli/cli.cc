#include "cli/cli.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "base/lower.h"
#include "base/thread_pool.h"
#include "cli/option_file.h"
#include "cli/status_line.h"
#include "cli/usage.h"
#include "kernels/isa.h"

namespace linnet::cli {
namespace {

volatile sig_atomic_t g_scopes = 0;
volatile sig_atomic_t g_patient = 0;
volatile sig_atomic_t g_interrupted = 0;
volatile sig_atomic_t g_ended = 0;
volatile sig_atomic_t g_reload = 0;
std::atomic<int64_t> g_ended_at{0};  // milliseconds
static_assert(std::atomic<int64_t>::is_always_lock_free, "a signal's handler uses it");
bool g_terminal[3];        // which standard streams are terminals
int g_wake[2] = {-1, -1};  // a pipe

void EndNow() {
  EraseStatusLine();
  _exit(kInterrupted);
}

void OnInterrupt(int) {
  if (g_scopes == 0 || (g_interrupted != 0 && g_patient == 0)) EndNow();
  g_interrupted = 1;
  Wake();
}

// SIGTERM and SIGHUP may arrive together; the second one then does not ask to end at once.
void OnEnd(int signal) {
  const int error = errno;  // of the interrupted code
  timespec clock = {};
  clock_gettime(CLOCK_MONOTONIC, &clock);
  const int64_t now = int64_t{clock.tv_sec} * 1000 + clock.tv_nsec / 1000000;
  if (g_scopes == 0 || (g_ended != 0 && now >= g_ended_at + 2000)) EndNow();
  if (g_ended == 0) g_ended_at = now;
  g_ended = 1;
  g_interrupted = 1;
  // The terminal is gone; output during shutdown must not fail because of it.
  const int nowhere = signal == SIGHUP ? open("/dev/null", O_WRONLY) : -1;
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    if (nowhere >= 0 && g_terminal[stream]) dup2(nowhere, stream);
  }
  Wake();
  errno = error;
}

// Whether a standard stream is a terminal that has gone.
bool TerminalIsGone() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    termios settings;
    if (g_terminal[stream] && tcgetattr(stream, &settings) != 0 && errno == EIO) return true;
  }
  return false;
}

void OnHangup(int signal) {
  const int error = errno;
  const bool gone = TerminalIsGone();
  errno = error;
  if (gone) return OnEnd(signal);
  g_reload = 1;
  Wake();
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // Ctrl-C does not make writes fail
  sigaction(signal, &action, nullptr);
}

// If the reader of stdout has closed it, as `head` does, end quietly by SIGPIPE.
void FailToWrite() {
  if (errno == EPIPE) {
    Handle(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
  }
  throw OutputError();
}

}  // namespace

CLI::App* AddCommand(CLI::App& app, const char* name, const char* does, const char* example,
                     CommonOptions& common, std::function<void()> run, unsigned heeds) {
  common.threads = AvailableCores();
  CLI::App* command = app.add_subcommand(name, does);
  command->footer(fmt::format("Example:\n  {}", example));
  const auto show = [heeds](CLI::Option* option, Heeds which) {
    option->group((heeds & which) != 0 ? "Common" : kUnheeded);
  };
  show(command->add_option("--threads", common.threads, "Threads to use")
           ->capture_default_str()
           ->check(CLI::Range(1, 1024)),
       kThreads);
  show(command->add_flag("--json", common.json, "Print the result as JSON"), kJson);
  show(command->add_flag("--exact", common.exact, "Use exact values and f32 activations"), kExact);
  if ((heeds & kForce) != 0) {
    show(command->add_flag("--force", common.force,
                           "Continue although a memory or limit check fails"),
         kForce);
  }
  show(command->add_option("--isa", common.isa, "Use a lower instruction-set level")
           ->check(CLI::IsMember({"portable", "avx2", "avx512", "avx512vnni", "amx"})),
       kIsa);
  show(command
           ->add_option("--vocab", common.vocab,
                        "Take the vocabulary from this file, or from a model that holds one")
           ->type_name("FILE"),
       kVocab);
  show(command
           ->add_option("--quant", common.quant,
                        "Convert matrices to this format at load, of the first N layers")
           ->type_name("TYPE[:N]"),
       kQuant);
  show(command
           ->add_option("--expert-memory", common.expert_mb,
                        "Keep so many MB of a mixture's experts in memory if its file is not "
                        "packed; default: a quarter of what is free")
           ->type_name("MB")
           ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40)),
       kQuant);
  command->callback([&common, command, run = std::move(run)] {
    common.command = command;
    ReadOptionFile(*command);
    CurrentIsa();  // refuses an old CPU
    if (!common.isa.empty()) ForceIsa(*ParseIsa(common.isa));
    run();
  });
  return command;
}

std::string MessageOf(const std::exception& exception) {
  const auto* const error = dynamic_cast<const Error*>(&exception);
  const auto with = [&](const char* what) { return fmt::format("{}; {}", exception.what(), what); };
  switch (error != nullptr ? error->remedy() : Remedy::kNone) {
    case Remedy::kNone:
      break;
    case Remedy::kIgnoreMemory:
      return with("pass --force to go on");
    case Remedy::kGiveVocabulary:
      return with("give its file with --vocab");
    case Remedy::kUseAsState:
      return with("with --state");
    case Remedy::kLowerRate:
      return with("lower --lr");
    case Remedy::kSkipStep:
      return with("lower --lr, or pass --skip-spikes to go on without the step");
    case Remedy::kLearnMore:
      return with("loosen --freeze or --tune");
    case Remedy::kWholeRows:
      return with("leave out --chunk");
    case Remedy::kMoreRows:
      return with("allow more with --row-limit");
    case Remedy::kGiveKeys:
      return with("give --api-key-file, or pass --allow-open to serve everybody");
    case Remedy::kOtherFolder:
      return with("wait until it ends, or give another --out");
  }
  return exception.what();
}

void RefuseQuant(const CommonOptions& common, const char* instead) {
  if (common.quant.empty()) return;
  throw CLI::ValidationError(
      "--quant", fmt::format("is for commands that run a model; {} says what is written", instead));
}

InterruptScope::InterruptScope(Patience patience) {
  if (g_scopes == 0) {
    Clear();
    g_patient = patience == Patience::kAlways ? 1 : 0;
  }
  g_scopes = g_scopes + 1;
}

InterruptScope::~InterruptScope() {
  if (g_scopes == 1) {
    g_interrupted = 0;
    g_patient = 0;
  }
  g_scopes = g_scopes - 1;
}

bool InterruptScope::Ended() { return g_ended != 0; }

bool InterruptScope::Interrupted() { return g_interrupted != 0; }

void InterruptScope::Clear() {
  ClearWakes();
  g_interrupted = g_ended;
}

void InterruptScope::Check() {
  if (Interrupted()) throw Interruption();
}

void ReloadOnHangup() { Handle(SIGHUP, OnHangup); }

bool ReloadAsked() {
  const bool asked = g_reload != 0;
  g_reload = 0;
  return asked;
}

int WakeDescriptor() { return g_wake[0]; }

void Wake() noexcept {
  const int error = errno;
  [[maybe_unused]] const ssize_t n =
      write(g_wake[1], "", 1);  // if the pipe is full, it is readable already
  errno = error;
}

void ClearWakes() {
  char bytes[64];
  while (read(g_wake[0], bytes, sizeof(bytes)) > 0) continue;
}

void OpenStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // Opened in the wrong mode, so that using the stream still fails. open takes the lowest number.
    if (fcntl(stream, F_GETFD) >= 0) continue;
    if (open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream) return;
  }
}

void HandleInterrupts() {
  // Without the pipe, a signal that arrives just before a wait is noticed only after it.
  [[maybe_unused]] const int made = pipe2(g_wake, O_CLOEXEC | O_NONBLOCK);
  Handle(SIGPIPE, SIG_IGN);  // a closed stderr is not an error
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    g_terminal[stream] = isatty(stream) != 0;
  }
  Handle(SIGINT, OnInterrupt);
  Handle(SIGTERM, OnEnd);
  struct sigaction before = {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) Handle(SIGHUP, OnEnd);  // keep nohup's setting
}

void CheckEnding(const char* option, const std::string& path,
                 std::initializer_list<std::string_view> endings) {
  std::string ending = std::filesystem::path(path).extension();
  if (ending == ".st") ending = ".safetensors";  // web-rwkv's name for it
  if (ending.find_first_not_of("0123456789", 1) == ending.npos) ending.clear();  // "rwkv-v4.20"
  if (!ending.empty() && std::find(endings.begin(), endings.end(), ending) == endings.end()) {
    throw CLI::ValidationError(
        option, fmt::format("'{}' must end in {}", path, fmt::join(endings, " or ")));
  }
  std::error_code error;
  if (std::filesystem::is_other(std::filesystem::status(path, error))) {
    throw Error(ErrorKind::kIo, path + ": is a pipe or device, expected the name of a file");
  }
}

std::shared_ptr<const std::regex> ParseRegex(const char* option, const std::string& text) {
  try {
    return std::make_shared<std::regex>(text);
  } catch (const std::regex_error& error) {
    throw CLI::ValidationError(
        option, fmt::format("'{}' is not a regular expression: {}", text, error.what()));
  }
}

void Say(std::string_view text) noexcept {
  EraseStatusLine();
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void Print(std::string_view text) {
  EraseStatusLine();
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) FailToWrite();
}

void FlushOutput() {
  if (std::fflush(stdout) != 0) FailToWrite();
}

}  // namespace linnet::cli
