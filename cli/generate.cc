// linnet generate: writes on from a prompt, taken as it is.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/sampling.h"
#include "cli/writing.h"
#include "engine/session.h"
#include "io/tensor_file.h"
#include "linnet/error.h"
#include "text/chat_template.h"

namespace linnet::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string model, prompt_file, state, save_state;
  std::optional<std::string> prompt;
  std::vector<std::string> stops;
  size_t max_tokens = 256;
  bool ignore_stop = false;
  Sampling sampling;
};

// Plain text suits a wider choice than a chat does (ChatRWKV's PIPELINE_ARGS).
SamplerOptions PlainDefaults() {
  SamplerOptions options;
  options.top_p = 0.85f;
  options.presence_penalty = options.frequency_penalty = 0.2f;
  return options;
}

std::string ReadAll(std::FILE* file, const std::string& name) {
  std::string text;
  char chunk[1 << 16];
  size_t count;
  while ((count = std::fread(chunk, 1, sizeof chunk, file)) > 0) text.append(chunk, count);
  if (std::ferror(file) != 0) throw Error(ErrorKind::kIo, name + ": cannot be read");
  return text;
}

std::string PromptOf(const Options& o) {
  if (o.prompt) return *o.prompt;
  if (o.prompt_file.empty()) return ReadAll(stdin, "stdin");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(o.prompt_file.c_str(), "rb"), std::fclose);
  if (file == nullptr) throw Error(ErrorKind::kIo, o.prompt_file + ": cannot be opened");
  return ReadAll(file.get(), o.prompt_file);
}

// --stop takes several strings, so in `--stop A MODEL` the parser leaves none for MODEL.
void FindModel(Options& o) {
  if (o.model.empty() && o.stops.size() > 1 && IsCheckpoint(o.stops.back())) {
    o.model = std::move(o.stops.back());
    o.stops.pop_back();
  }
}

// The text as it comes, unless JSON is wanted.
Written WriteText(const Options& o, Session& session) {
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
  const Written written = session.Write(options, watcher);
  const bool on_terminal = isatty(STDOUT_FILENO) != 0 && isatty(STDERR_FILENO) != 0;
  if (on_terminal && !o.common.json) Say("\n");
  return written;
}

void Run(Options o) {
  FindModel(o);
  if (o.prompt && !o.prompt_file.empty()) {
    throw CLI::ValidationError("generate", "give either --prompt or --prompt-file");
  }
  if (!o.save_state.empty()) {
    CheckKeeps(o.save_state, {o.model, o.prompt_file, o.common.vocab});
    CheckWritable(o.save_state);
    if (std::filesystem::path(o.save_state).extension() == ".pth") {
      throw CLI::ValidationError(
          "--save-state", fmt::format("'{}': a state is safetensors, expected a name such as "
                                      "chat.state",
                                      o.save_state));
    }
  }
  // A model this small strays with a wider choice.
  if (o.model.empty() && o.sampling.given.count("top-p") == 0) o.sampling.options.top_p = 0.6f;
  ResolveSampling(o.sampling);
  const Model model = OpenModel(o.common, o.model);
  const auto tokenizer = TokenizerFor(o.common, model);
  FitSampling(o.sampling, *tokenizer, model.config().vocab);
  Workspace workspace = NewWorkspace(o.common);
  Session session(model, *tokenizer, workspace, StartOf(o.state, model),
                  Sampler(o.sampling.options, tokenizer));
  session.Feed(EncodePrompt(*tokenizer, PromptOf(o)));
  const InterruptScope interrupts;
  const Written written = WriteText(o, session);
  InterruptScope::Check();
  if (!o.save_state.empty()) {
    const Snapshot& here = session.Here();
    here.state.Save(o.save_state, here.logits);
  }
  if (o.common.json) Print(ToJson(written) + "\n");
}

constexpr const char* kExample =
    "linnet generate model.pth --prompt 'The kingfisher' --max-tokens 100\n\n"
    "Without MODEL the small model that is built in writes.\n"
    "Without --prompt and --prompt-file the prompt is read from stdin. The prompt is taken raw;\n"
    "an empty one starts from token 0, or goes on where a saved state ended. Only the\n"
    "continuation goes to stdout. --json prints {\"text\",\"tokens\",\"finish_reason\",\n"
    "\"prompt_tokens\",\"prompt_s\",\"decode_s\",\"tokens_per_s\"}: tokens counts those written,\n"
    "finish_reason is stop or length. --save-state stands right behind the text; a run from it\n"
    "with --state draws by its own --seed and knows no penalties of the run before.";

}  // namespace

void AddGenerate(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  o->sampling.options = PlainDefaults();
  CLI::App* command =
      AddCommand(app, "generate", "Continue a prompt", kExample, o->common, [o] { Run(*o); });
  command->add_option("MODEL", o->model, "A checkpoint; the built-in model if not given");
  command->add_option("--prompt", o->prompt, "The text to continue")->type_name("TEXT");
  command->add_option("--prompt-file", o->prompt_file, "A file that holds it")->type_name("FILE");
  command->add_option("--max-tokens", o->max_tokens, "Tokens to write at most")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--stop", o->stops, "End before any of these strings")->type_name("S...");
  command->add_flag("--ignore-stop", o->ignore_stop, "Write on past token 0 and stop strings");
  command->add_option("--state", o->state, "Start from this saved or tuned state")
      ->type_name("FILE");
  command->add_option("--save-state", o->save_state, "Save the state at the end to this file")
      ->type_name("FILE");
  AddAdapterOption(*command, o->common);
  AddSamplingOptions(*command, o->sampling);
}

}  // namespace linnet::cli
