// linnet chat: chat with a model.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/grammars.h"
#include "cli/line_reader.h"
#include "cli/model.h"
#include "cli/sampling.h"
#include "cli/speculation.h"
#include "cli/talk.h"
#include "cli/talk_settings.h"
#include "cli/user_paths.h"
#include "cli/writing.h"

namespace linnet::cli {
namespace {

struct ChatFlags {
  CommonOptions common;
  std::string model, chat_template = "auto", think = "auto", system, state;
  bool no_history = false;
  std::vector<std::string> stops;
  size_t max_tokens = 1024;
  Sampling sampling;
  GrammarFlags grammar;
  SpeculationFlags speculation;
};

std::string Banner(const Model& model, const ChatTemplate& form) {
  const Config& c = model.config();
  return fmt::format("{}: RWKV-{}, {} layers of {}, template {}; /help lists the commands\n",
                     model.path().filename().string(), Name(c.generation), c.layers, c.width,
                     form.name());
}

InputHistory History(const ChatFlags& o) {
  const bool kept = !o.no_history && isatty(STDIN_FILENO) != 0;
  const std::filesystem::path folder = kept ? StateFolder() : std::filesystem::path();
  return folder.empty() ? InputHistory() : InputHistory(folder / "history");
}

// The built-in model's: what it is and what to try.
constexpr const char* kBuiltInBanner =
    "A small storyteller. Try: a story about a fox | go on | what did he do? | /help\n";

void RunChat(ChatFlags o) {
  const bool built_in = MeansBuiltIn(o.model);
  if (built_in) FitBuiltIn(o.sampling, ChatSampling(true));
  ResolveSampling(o.sampling);
  const auto grammar = GrammarOf(o.grammar);
  if (grammar != nullptr && o.think == "auto") o.think = "off";
  const Model model = OpenModel(o.common, o.model);
  const auto tokenizer = TokenizerFor(o.common, model);
  FitSampling(o.sampling, *tokenizer, model.config().vocab);
  const ChatTemplate& form = TemplateFor(o.chat_template, model, *tokenizer);
  Workspace workspace = NewWorkspace(o.common);
  Session session(model, *tokenizer, workspace, StartOf(o.state, model),
                  Sampler(o.sampling.options, tokenizer));
  session.Speculate(SpeculationFor(o.common, o.speculation, model));
  const auto lines = LineReader::New(History(o));
  Talk talk({.common = o.common,
             .sampling = o.sampling,
             .think = o.think,
             .form = o.chat_template,
             .conversation = {.chat_template = &form,
                              .system = o.system,
                              .think = ThinkFor(o.think, form),
                              .max_tokens = o.max_tokens,
                              .stops = o.stops,
                              .grammar = grammar}},
            tokenizer, session, *lines);
  Say(built_in ? kBuiltInBanner : Banner(model, form));
  talk.Run();
}

constexpr const char* kChatExample =
    "linnet chat model.pth --system 'Answer in one sentence.'\n\n"
    "Without MODEL, the small built-in model is used.\n"
    "Messages are read from stdin, one per line or several lines between \"\"\". Replies go to\n"
    "stdout, everything else to stderr; /help lists the commands.\n"
    "The default template depends on the model: world and world-classic for World models, g1 for\n"
    "models with g1 in the file name, raven for 20B models, alpaca-json for byte-level models.";

}  // namespace

void AddChat(CLI::App& app) {
  const auto o = std::make_shared<ChatFlags>();
  CLI::App* command =
      AddCommand(app, "chat", "Talk to a model", kChatExample, o->common, [o] { RunChat(*o); });
  command->add_option("MODEL", o->model, kOptionalModelHelp);
  auto templates = ChatTemplate::Names();
  templates.insert(templates.begin(), "auto");
  command->add_option("--template", o->chat_template, "The chat template")
      ->capture_default_str()
      ->check(CLI::IsMember(templates));
  command
      ->add_option("--think", o->think,
                   "Thinking before replies: off or on, or none, fast, free, bit, medium, lot")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "off", "on", "none", "fast", "free", "bit", "medium", "lot"}));
  command->add_option("--system", o->system, "The system text")->type_name("TEXT");
  command->add_option("--max-tokens", o->max_tokens, "The most tokens of a reply")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--stop", o->stops, "Also end a reply before this text; may be repeated")
      ->allow_extra_args(false)
      ->type_name("S");
  command->add_option("--state", o->state, "Start from this saved or tuned state")
      ->type_name("FILE");
  command->add_flag("--no-history", o->no_history,
                    "Do not use the input history, ~/.local/state/linnet/history");
  AddAdapterOption(*command, o->common);
  AddRowOptions(*command, o->common);
  AddSamplingOptions(*command, o->sampling);
  AddGrammarOptions(*command, o->grammar);
  AddSpeculationOptions(*command, o->speculation);
}

}  // namespace linnet::cli
