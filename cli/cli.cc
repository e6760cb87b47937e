#include "cli/cli.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/thread_pool.h"
#include "kernels/isa.h"

namespace linnet::cli {
namespace {

volatile sig_atomic_t g_scopes = 0;
volatile sig_atomic_t g_interrupted = 0;
volatile sig_atomic_t g_ended = 0;

void OnInterrupt(int) {
  if (g_scopes == 0 || g_interrupted != 0) _exit(kInterrupted);
  g_interrupted = 1;
}

// Of SIGTERM and SIGHUP one may follow the other, and neither means that waiting is over.
void OnEnd(int signal) {
  if (g_scopes == 0) _exit(kInterrupted);
  g_ended = 1;
  g_interrupted = 1;
  if (signal != SIGHUP || isatty(STDERR_FILENO) == 0) return;
  // The terminal is gone; what is said on the way out must not fail for that.
  const int nowhere = open("/dev/null", O_WRONLY);
  if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

}  // namespace

CLI::App* AddCommand(CLI::App& app, const char* name, const char* does, const char* example,
                     CommonOptions& common, std::function<void()> run) {
  common.threads = AvailableCores();
  CLI::App* command = app.add_subcommand(name, does);
  command->footer(fmt::format("Example:\n  {}", example));
  command->add_option("--threads", common.threads, "Threads to use")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024))
      ->group("Common");
  command->add_flag("--json", common.json, "Print the result as JSON")->group("Common");
  command->add_flag("--exact", common.exact, "Use exact values and f32 activations everywhere")
      ->group("Common");
  command->add_flag("--force", common.force, "Go on where memory or limits say no")
      ->group("Common");
  command->add_option("--isa", common.isa, "Use a lower instruction-set level")
      ->check(CLI::IsMember({"portable", "avx2", "avx512", "avx512vnni", "amx"}))
      ->group("Common");
  command->add_option("--vocab", common.vocab, "Take the vocabulary from this file")
      ->type_name("FILE")
      ->group("Common");
  command
      ->add_option("--quant", common.quant, "Pack matrices in this format, of the first N layers")
      ->type_name("TYPE[:N]")
      ->group("Common");
  command->callback([&common, run = std::move(run)] {
    if (!common.isa.empty()) ForceIsa(*ParseIsa(common.isa));
    run();
  });
  return command;
}

InterruptScope::InterruptScope() {
  g_interrupted = g_ended;
  g_scopes = 1;
}

InterruptScope::~InterruptScope() {
  g_scopes = 0;
  g_interrupted = 0;
}

bool InterruptScope::Ended() { return g_ended != 0; }

bool InterruptScope::Interrupted() { return g_interrupted != 0; }

void InterruptScope::Clear() { g_interrupted = g_ended; }

void InterruptScope::Check() {
  if (Interrupted()) throw Interruption();
}

void HandleInterrupts() {
  Handle(SIGINT, OnInterrupt);
  Handle(SIGTERM, OnEnd);
  struct sigaction before = {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) Handle(SIGHUP, OnEnd);  // nohup means it
}

void CheckEnding(const char* option, const std::string& path,
                 std::initializer_list<std::string_view> endings) {
  const std::string ending = std::filesystem::path(path).extension();
  const std::string known = fmt::format("{}", fmt::join(endings, " or "));
  for (const std::string_view each : endings) {
    if (ending == each || (ending == ".st" && each == ".safetensors")) return;
  }
  throw CLI::ValidationError(option, fmt::format("'{}' must end in {}", path, known));
}

void CheckWritable(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_other(status) || std::filesystem::is_character_file(status)) return;
  AtomicFile(std::filesystem::path(path));  // goes without a trace
}

std::shared_ptr<const std::regex> ParseRegex(const char* option, const std::string& text) {
  try {
    return std::make_shared<std::regex>(text);
  } catch (const std::regex_error& error) {
    throw CLI::ValidationError(
        option, fmt::format("'{}' is no regular expression: {}", text, error.what()));
  }
}

void Print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    throw OutputError();
  }
}

void FlushOutput() {
  if (std::fflush(stdout) != 0) throw OutputError();
}

}  // namespace linnet::cli
