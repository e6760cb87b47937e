#include "cli/cli.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

volatile sig_atomic_t g_scopes = 0;
volatile sig_atomic_t g_interrupted = 0;

void OnInterrupt(int) {
  if (g_scopes == 0 || g_interrupted != 0) _exit(kInterrupted);
  g_interrupted = 1;
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
  g_interrupted = 0;
  g_scopes = 1;
}

InterruptScope::~InterruptScope() {
  g_scopes = 0;
  g_interrupted = 0;
}

bool InterruptScope::Interrupted() { return g_interrupted != 0; }

void InterruptScope::Clear() { g_interrupted = 0; }

void InterruptScope::Check() {
  if (Interrupted()) throw Interruption();
}

void HandleInterrupts() {
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  sigaction(SIGINT, &action, nullptr);
}

void Print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    throw Error(ErrorKind::kIo, "stdout: cannot be written to");
  }
}

void FlushOutput() {
  if (std::fflush(stdout) != 0) throw Error(ErrorKind::kIo, "stdout: cannot be written to");
}

}  // namespace linnet::cli
