// What all subcommands share: their common options, exit codes and Ctrl-C.
#ifndef LINNET_CLI_CLI_H_
#define LINNET_CLI_CLI_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/error.h"

namespace linnet::cli {

enum ExitCode { kDone = 0, kFailed = 1, kWrongUsage = 2, kInterrupted = 130 };

// The common options that a command heeds. Its --help shows these and no others. Those that all
// commands are promised to take are accepted everywhere; --force is not one of them.
enum Heeds : unsigned {
  kThreads = 1,
  kJson = 2,
  kExact = 4,
  kForce = 8,
  kIsa = 16,
  kVocab = 32,
  kQuant = 64,
  kAllOptions = 127,  // of commands that run a model on text
};

struct CommonOptions {
  size_t threads = 1;  // AddCommand sets the cores this process may use
  bool json = false;   // the result as one JSON value
  bool exact = false;  // f32 activations and the formats' exact values
  bool force = false;  // go on where a guess says it will not fit
  std::string isa;     // a lower instruction-set level; empty: the highest
  std::string vocab;   // a vocabulary file; empty: the model's own
  std::string quant;   // TYPE[:N]: pack the first N layers' matrices so
  // FILE[:SCALE], of commands with --lora
  std::vector<std::string> adapters;
  bool overwrite = false;  // of commands with an output: replace a file of another kind
  // Kept for output_file.h: what options name is read, but for the outputs.
  const CLI::App* command = nullptr;
  std::vector<const CLI::Option*> outputs;
  std::vector<std::filesystem::path> inputs;  // read besides
};

// Adds `linnet NAME`. Its --help shows `does`, the options and `example`. After parsing, the common
// options are put in force and `run` is called; `common` must live until then (`run` may own it).
// A command and those below it may share one `common`. `heeds` is a sum of Heeds.
// `run` throws linnet::Error for bad input (exit 1) and CLI::ValidationError for wrong usage (2).
CLI::App* AddCommand(CLI::App& app, const char* name, const char* does, const char* example,
                     CommonOptions& common, std::function<void()> run,
                     unsigned heeds = kAllOptions);

// Wrong usage if --quant, which packs a model as it is loaded, is given to a command that runs
// none; `instead` says what does what may be meant.
void RefuseQuant(const CommonOptions& common, const char* instead);

// Each lives in the file of its name; main.cc calls them in the order of --help.
void AddChat(CLI::App& app);
void AddGenerate(CLI::App& app);
void AddTokenize(CLI::App& app);
void AddLogits(CLI::App& app);
void AddGrad(CLI::App& app);
void AddPerplexity(CLI::App& app);
void AddBench(CLI::App& app);
void AddInit(CLI::App& app);
void AddConvert(CLI::App& app);
void AddQuantize(CLI::App& app);
void AddInspect(CLI::App& app);
void AddState(CLI::App& app);
void AddTrain(CLI::App& app);
void AddPlot(CLI::App& app);
void AddMerge(CLI::App& app);
void AddVocab(CLI::App& app);
void AddData(CLI::App& app);

// Ctrl-C ends the program with exit code 130 at once, unless one of these is alive: then it only
// makes Interrupted() true, and a second Ctrl-C in a row ends the program. SIGTERM and SIGHUP do
// the same, but nobody is there to go on with: Ended() stays true, and a second one ends the
// program if it comes two seconds later or more. For commands that have something to finish or
// clean up. They nest: the outermost counts.
class InterruptScope {
 public:
  // Patient ones never end the program by Ctrl-C, however often it comes.
  enum class Patience : bool { kOnce, kAlways };

  explicit InterruptScope(Patience patience = Patience::kOnce);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  static bool Interrupted();
  static bool Ended();
  static void Clear();  // a new question, a new chance to stop
  static void Check();  // throws Interruption, which main turns into exit code 130
};

struct Interruption {};

// What `error` says and, where a setting would help, the option to give for it.
std::string MessageOf(const Error& error);

// Installs the behaviour above; main calls it once.
void HandleInterrupts();

// A file descriptor to poll beside others: readable once one of those signals has come, or Wake was
// called, until InterruptScope::Clear or ClearWakes.
int WakeDescriptor();
void Wake() noexcept;  // a signal's handler may call it
void ClearWakes();

// A standard stream that is closed becomes /dev/null, before a file to be written takes its place.
void OpenStreams();

// The file of `option` is to be written, and its ending says what it becomes: wrong usage if it is
// none of these. A name without an ending becomes the first. Throws Error kIo if it is a pipe or
// device, which holds no model afterwards.
void CheckEnding(const char* option, const std::string& path,
                 std::initializer_list<std::string_view> endings);

// Wrong usage, naming `option`, if it is none.
std::shared_ptr<const std::regex> ParseRegex(const char* option, const std::string& text);

// Nothing more can be said, so that no command goes on.
class OutputError : public Error {
 public:
  OutputError() : Error(ErrorKind::kIo, "stdout: cannot be written to") {}
};

// Says something on stderr. That it cannot be said there stops nothing.
void Say(std::string_view text) noexcept;

// Results go to stdout through these, so that a full disk is an error: both throw OutputError.
// A pipe that nobody reads any more ends the program as it ends others, by SIGPIPE.
// What was printed is flushed at the end; flush sooner where someone watches.
void Print(std::string_view text);
void FlushOutput();

}  // namespace linnet::cli

#endif  // LINNET_CLI_CLI_H_
