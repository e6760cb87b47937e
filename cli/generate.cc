// linnet generate: continues a raw prompt.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/grammars.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/sampling.h"
#include "cli/speculation.h"
#include "cli/texts.h"
#include "cli/writing.h"
#include "engine/session.h"
#include "linnet/error.h"
#include "models/builtin_model.h"
#include "text/chat_template.h"
#include "text/utf8.h"

namespace linnet::cli {
namespace {

struct GenerateFlags {
  CommonOptions common;
  std::string model, prompt_file, state, save_state;
  std::optional<std::string> prompt;
  std::vector<std::string> stops;
  size_t max_tokens = 256;
  bool ignore_stop = false;
  Sampling sampling;
  GrammarFlags grammar;
  SpeculationFlags speculation;
};

std::string PromptIn(const std::string& path) {
  return std::string(WithoutByteOrderMark(ByteSource(path).Rest()));
}

// --stop takes several strings, so in `--stop A MODEL` the parser assigns MODEL to --stop.
void FindModel(GenerateFlags& o) {
  if (o.model.empty() && o.stops.size() > 1 && IsModelName(o.stops.back())) {
    o.model = std::move(o.stops.back());
    o.stops.pop_back();
  }
}

// Prints the text while it is generated, unless JSON is requested.
Written WriteText(const GenerateFlags& o, Session& session,
                  const std::optional<Constraint>& constraint) {
  Watcher watcher = NewWatcher();
  if (!o.common.json) {
    watcher.text = [](std::string_view text) {
      Print(text);
      FlushOutput();
    };
  }
  ContinuationOptions options{.max_tokens = o.max_tokens, .stops = o.stops};
  if (o.ignore_stop) {
    options.stops.clear();
    options.stop_ids.clear();
  }
  const Written written = session.Write(options, watcher, constraint);
  const bool on_terminal = isatty(STDOUT_FILENO) != 0 && isatty(STDERR_FILENO) != 0;
  if (on_terminal && !o.common.json) Say("\n");
  return written;
}

// Also saves after Ctrl-C, except during the prompt, when there is no state after it yet.
void Keep(const GenerateFlags& o, Session& session, const Written& written) {
  const bool unread = written.finish == Finish::kInterrupted && written.prompt_s == 0;
  if (!o.save_state.empty() && unread) {
    Say(fmt::format("{}: not written, the prompt was not read to its end\n", o.save_state));
  } else if (!o.save_state.empty()) {
    const Snapshot& here = session.Here();
    here.state.Save(o.save_state, here.logits);
  }
  if (o.common.json) Print(ToJson(written) + "\n");
  FlushOutput();
}

void Run(GenerateFlags o) {
  FindModel(o);
  if (o.prompt && !o.prompt_file.empty()) {
    throw CLI::ValidationError("generate", "give either --prompt or --prompt-file");
  }
  if (!o.save_state.empty()) {
    CheckOutput(o.common, {.path = o.save_state, .kind = StateOutput(), .rewrites = "--state"});
    if (std::filesystem::path(o.save_state).extension() == ".pth") {
      throw CLI::ValidationError(
          "--save-state", fmt::format("'{}': a state is safetensors, expected a name such as "
                                      "chat.state",
                                      o.save_state));
    }
  }
  if (MeansBuiltIn(o.model)) FitBuiltIn(o.sampling, TextSampling(true));
  ResolveSampling(o.sampling);
  const auto grammar = GrammarOf(o.grammar);
  // Read a prompt file before the slow loading of the model, but stdin after it.
  const bool from_stdin = !o.prompt && (o.prompt_file.empty() || o.prompt_file == "-");
  if (!o.prompt && !from_stdin) o.prompt = PromptIn(o.prompt_file);
  const Model model = OpenModel(o.common, o.model);
  const auto tokenizer = TokenizerFor(o.common, model);
  FitSampling(o.sampling, *tokenizer, model.config().vocab);
  Workspace workspace = NewWorkspace(o.common);
  Session session(model, *tokenizer, workspace, StartOf(o.state, model),
                  Sampler(o.sampling.options, tokenizer));
  session.Speculate(SpeculationFor(o.common, o.speculation, model));
  if (from_stdin) o.prompt = PromptIn("-");
  session.Feed(EncodePrompt(*tokenizer, *o.prompt));
  std::optional<Constraint> constraint;
  if (grammar != nullptr) {
    constraint.emplace(grammar,
                       std::make_shared<const TokenTrie>(*tokenizer, model.config().vocab));
  }
  const InterruptScope interrupts;
  const Written written = WriteText(o, session, constraint);
  Keep(o, session, written);
  InterruptScope::Check();
}

constexpr const char* kGenerateExample =
    "linnet generate model.pth --prompt 'The kingfisher' --max-tokens 100\n\n"
    "Without MODEL, the small built-in model is used.\n"
    "Without --prompt and --prompt-file, or with --prompt-file -, the prompt is read from stdin,\n"
    "until Ctrl-D on a terminal. The prompt is used as is, without a template.\n"
    "An empty prompt starts from token 0, or continues from a saved state. Only the\n"
    "continuation goes to stdout. --json prints {\"text\",\"tokens\",\"finish_reason\",\n"
    "\"prompt_tokens\",\"prompt_s\",\"decode_s\",\"tokens_per_s\",\"speculation\"}: tokens counts "
    "those\ngenerated, finish_reason is stop, length or interrupted, speculation has the passes "
    "that\n"
    "checked guesses, the guesses and those that were right. After Ctrl-C the text so far is still "
    "written,\n"
    "also by --json and --save-state, and the exit code is 130. --save-state saves the state "
    "after\n"
    "the text. A later run with --state uses its own --seed and starts without penalties.\n"
    "With --grammar, --json-schema or --regex the continuation matches if finish_reason is stop;\n"
    "stop strings then end it only where it is complete.";

}  // namespace

void AddGenerate(CLI::App& app) {
  const auto o = std::make_shared<GenerateFlags>();
  o->sampling = TextSampling(false);
  CLI::App* command = AddCommand(app, "generate", "Continue a prompt", kGenerateExample, o->common,
                                 [o] { Run(*o); });
  command->add_option("MODEL", o->model, kOptionalModelHelp);
  command->add_option("--prompt", o->prompt, "The text to continue")->type_name("TEXT");
  command->add_option("--prompt-file", o->prompt_file, "A file with the prompt; -: stdin")
      ->type_name("FILE");
  command->add_option("--max-tokens", o->max_tokens, "The most tokens to generate")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--stop", o->stops, "Stop before any of these strings")->type_name("S...");
  command->add_flag("--ignore-stop", o->ignore_stop, "Continue after token 0 and stop strings");
  command->add_option("--state", o->state, "Start from this saved or tuned state")
      ->type_name("FILE");
  AddOutput(*command, o->common, "--save-state", o->save_state,
            "Save the state at the end to this file")
      ->type_name("FILE");
  AddAdapterOption(*command, o->common);
  AddRowOptions(*command, o->common);
  AddSamplingOptions(*command, o->sampling);
  AddGrammarOptions(*command, o->grammar);
  AddSpeculationOptions(*command, o->speculation);
}

}  // namespace linnet::cli
