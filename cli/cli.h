// Shared by all subcommands: common options, exit codes and Ctrl-C.
#ifndef LINNET_CLI_CLI_H_
#define LINNET_CLI_CLI_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "linnet/error.h"

namespace linnet::cli {

enum ExitCode { kDone = 0, kFailed = 1, kWrongUsage = 2, kInterrupted = 130 };

// The common options that a command uses. Its --help shows only these. All commands accept all
// common options except --force, even if they ignore them.
enum Heeds : unsigned {
  kThreads = 1,
  kJson = 2,
  kExact = 4,
  kForce = 8,
  kIsa = 16,
  kVocab = 32,
  kQuant = 64,
  kAllOptions = 127,  // for commands that run a model on text
};

struct CommonOptions {
  size_t threads = 1;  // AddCommand sets it to the cores this process may use
  bool json = false;   // print the result as one JSON value
  bool exact = false;  // f32 activations and exact values of the formats
  bool force = false;  // continue although an estimate says it will not fit
  std::string isa;     // a lower instruction-set level; empty: the highest
  std::string vocab;   // a vocabulary file; empty: the model's own
  std::string quant;   // TYPE[:N]: the format of matrices, of the first N layers
  // FILE[:SCALE], for commands with --lora
  std::vector<std::string> adapters;
  // For commands with --rows: how states keep the rows of attention, "" by --exact; and their
  // limit.
  std::string rows;
  uint64_t row_limit = 0;
  uint64_t expert_mb = 0;  // of packed experts to keep; 0: the default
  bool overwrite = false;  // for commands with an output: replace a file of another kind
  // For output_file.h: all files named by options are inputs, except the outputs.
  const CLI::App* command = nullptr;
  std::vector<const CLI::Option*> outputs;
  // Options whose value is the stem of the files that are read, which are in `inputs`. A file or
  // folder with the name of the stem itself is not.
  std::vector<const CLI::Option*> stems;
  std::vector<std::filesystem::path> inputs;  // further files that are read
};

// Adds `linnet NAME`. Its --help shows `does`, the options and `example`. After parsing, applies
// the common options and calls `run`; `common` must live until then (`run` may own it). A command
// and its subcommands may share one `common`. `heeds` is a sum of Heeds. `run` throws linnet::Error
// for bad input (exit 1) and CLI::ValidationError for wrong usage (exit 2).
CLI::App* AddCommand(CLI::App& app, const char* name, const char* does, const char* example,
                     CommonOptions& common, std::function<void()> run,
                     unsigned heeds = kAllOptions);

// Throws CLI::ValidationError if --quant is given to a command that does not run a model; `instead`
// names the option that may be meant.
void RefuseQuant(const CommonOptions& common, const char* instead);

// Ctrl-C ends the program at once with exit code 130, unless an InterruptScope exists. Then the
// first Ctrl-C only makes Interrupted() true, and a second one in a row ends the program. SIGTERM
// and SIGHUP do the same, but Ended() stays true, and a second signal ends the program only if it
// arrives two seconds later or more. For commands that must finish or clean up something. Scopes
// nest; the outermost counts.
class InterruptScope {
 public:
  // In a patient scope Ctrl-C never ends the program.
  enum class Patience : bool { kOnce, kAlways };

  explicit InterruptScope(Patience patience = Patience::kOnce);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  static bool Interrupted();
  static bool Ended();
  static void Clear();  // forgets a past Ctrl-C
  static void Check();  // throws Interruption, which RunCommand turns into exit code 130
};

struct Interruption {};

// SIGHUP as servers take it: from here on it only makes ReloadAsked() true, once, and wakes
// WakeDescriptor(). If it comes because the terminal has gone, it ends the program as everywhere.
void ReloadOnHangup();
bool ReloadAsked();

// The message of `error`, with the option that helps, if there is one.
std::string MessageOf(const std::exception& error);

// Installs these signal handlers; RunCommand calls it once.
void HandleInterrupts();

// A file descriptor for poll: readable after one of those signals or a call of Wake, until
// InterruptScope::Clear or ClearWakes.
int WakeDescriptor();
void Wake() noexcept;  // signal-safe
void ClearWakes();

// Opens /dev/null for closed standard streams, so that no output file gets their number.
void OpenStreams();

// Checks the extension of an output file, which selects the format; throws CLI::ValidationError if
// it is not one of `endings`. A name without an extension gets the first format. Throws Error kIo
// for a pipe or device, which cannot store a model.
void CheckEnding(const char* option, const std::string& path,
                 std::initializer_list<std::string_view> endings);

// Throws CLI::ValidationError, which names `option`, if it is not a regular expression.
std::shared_ptr<const std::regex> ParseRegex(const char* option, const std::string& text);

// stdout cannot be written, so the command must stop.
class OutputError : public Error {
 public:
  OutputError() : Error(ErrorKind::kIo, "stdout: cannot be written to") {}
};

// Prints to stderr. Write errors are ignored.
void Say(std::string_view text) noexcept;

// All results are written to stdout through these. Both throw OutputError, for example if the disk
// is full. A closed pipe ends the program by SIGPIPE. Output is flushed at the end; flush earlier
// for interactive output.
void Print(std::string_view text);
void FlushOutput();

}  // namespace linnet::cli

#endif  // LINNET_CLI_CLI_H_
