// linnet chat: a talk with a model, line by line.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/lower.h"
#include "cli/cli.h"
#include "cli/line_reader.h"
#include "cli/model.h"
#include "cli/sampling.h"
#include "cli/writing.h"
#include "engine/conversation.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

constexpr const char* kHelp = R"(  /help            this list
  /reset           start anew
  /retry           another reply to the last line
  /undo            take the last line and its reply back
  /save FILE       save the state to a file
  /load FILE       go on from a saved or tuned state
  /set [KEY VALUE] change a setting; alone: show them
  /system TEXT     start anew with this system text
  /quit            end, as Ctrl-D does; Ctrl-C stops a reply
A line that ends in \ goes on in the next. A blank before a / makes it text.
)";

struct Options {
  CommonOptions common;
  std::string model, chat_template = "auto", think = "auto", system, state;
  std::vector<std::string> stops;
  size_t max_tokens = 1024;
  Sampling sampling;
};

void Note(std::string_view text) { Say(fmt::format("{}\n", text)); }

// Known from the file's name, as nothing in the file tells: models that think.
bool NamedG1(const std::filesystem::path& path) {
  return Lower(path.filename().string()).find("g1") != std::string::npos;
}

const ChatTemplate& TemplateFor(const std::string& name, const Model& model,
                                const Tokenizer& tokenizer) {
  if (name != "auto") return ChatTemplate::Named(name);
  const ChatTemplate& usual = ChatTemplate::For(model.config().generation, tokenizer);
  return usual.thinks() && NamedG1(model.path()) ? ChatTemplate::Named("g1") : usual;
}

// Besides ParseThink's names: auto, on, and off, which for a model that thinks by itself means an
// empty thought.
Think ThinkFor(const std::string& name, const ChatTemplate& form) {
  if (name == "auto") return form.default_think();
  if (name == "on") return Think::kFree;
  if (name == "off") return form.default_think() == Think::kNone ? Think::kNone : Think::kFast;
  return ParseThink(name);
}

std::string_view FirstWord(std::string_view text) { return text.substr(0, text.find(' ')); }

std::string_view AfterFirstWord(std::string_view text) {
  const size_t blank = text.find(' ');
  if (blank == text.npos) return {};
  const size_t begin = text.find_first_not_of(' ', blank);
  return begin == text.npos ? std::string_view() : text.substr(begin);
}

std::string_view WithoutLeadingBlanks(std::string_view text) {
  return text.substr(std::min(text.size(), text.find_first_not_of(" \n")));
}

class Chat {
 public:
  Chat(const Options& options, std::shared_ptr<const Tokenizer> tokenizer, Session& session,
       ConversationOptions conversation, LineReader& lines)
      : json_(options.common.json),
        sampling_(options.sampling),
        tokenizer_(std::move(tokenizer)),
        session_(session),
        conversation_(session, std::move(conversation)),
        lines_(lines) {}

  void Run() {
    std::string text;
    while (ReadText(text)) {
      try {
        if (text.empty()) continue;
        if (text[0] != '/') {
          Answer([&](const Watcher& watcher) { return conversation_.Ask(text, watcher); });
        } else if (!Command(text)) {
          return;
        }
      } catch (const OutputError&) {
        throw;
      } catch (const Error& error) {
        Note(error.what());
      }
      if (InterruptScope::Ended()) throw Interruption();
    }
    if (lines_.interactive()) Note("");
  }

 private:
  // A line, or several that are joined by a \ at the end. False at the end of the input.
  bool ReadText(std::string& text) {
    text.clear();
    std::string line;
    if (!lines_.Read("> ", line)) return false;
    while (!line.empty() && line.back() == '\\') {
      line.back() = '\n';
      text += line;
      if (!lines_.Read(". ", line)) line.clear();
    }
    text += line;
    return true;
  }

  template <class F>
  void Answer(F&& write) {
    const InterruptScope interrupts;
    Watcher watcher = NewWatcher();
    if (!json_) {
      watcher.text = [begun = false](std::string_view text) mutable {
        if (!begun) text = WithoutLeadingBlanks(text);
        begun |= !text.empty();
        Print(text);
        FlushOutput();
      };
    }
    Written written = write(watcher);
    written.text = WithoutLeadingBlanks(written.text);
    Print(json_ ? ToJson(written) + "\n" : "\n");
    FlushOutput();
    if (written.finish == Finish::kInterrupted) Note("(stopped)");
    if (written.finish == Finish::kLength) {
      Note(fmt::format("(cut at {} tokens; /set max-tokens N allows more)", written.tokens));
    }
  }

  // False when the talk is over.
  bool Command(std::string_view line) {
    const std::string_view name = FirstWord(line);
    const std::string argument(AfterFirstWord(line));
    if (name == "/quit" || name == "/exit") return false;
    if (name == "/help") {
      Say(kHelp);
    } else if (name == "/reset") {
      conversation_.Reset();
      Note("(a new talk)");
    } else if (name == "/retry") {
      CheckTurns("retry");
      Answer([&](const Watcher& watcher) { return conversation_.Retry(watcher); });
    } else if (name == "/undo") {
      CheckTurns("undo");
      conversation_.Undo();
      Note(fmt::format("(taken back; {} more can be)", conversation_.turns()));
    } else if (name == "/save") {
      Save(Needed(argument, "/save FILE"));
    } else if (name == "/load") {
      conversation_.GoTo(StartOf(Needed(argument, "/load FILE"), session_.model()));
      Note(fmt::format("(goes on from {})", argument));
    } else if (name == "/set") {
      argument.empty() ? ShowSettings() : Set(argument);
    } else if (name == "/system") {
      conversation_.options().system = argument;
      conversation_.Reset();
      Note("(a new talk)");
    } else {
      throw Error(ErrorKind::kBadInput, fmt::format("{} is no command; /help lists them", name));
    }
    return true;
  }

  static const std::string& Needed(const std::string& argument, const char* usage) {
    if (argument.empty()) throw Error(ErrorKind::kBadInput, fmt::format("usage: {}", usage));
    return argument;
  }

  void CheckTurns(const char* what) const {
    if (conversation_.turns() > 0) return;
    const size_t forgotten = conversation_.forgotten();
    throw Error(ErrorKind::kBadInput,
                forgotten == 0
                    ? fmt::format("nothing to {}", what)
                    : fmt::format("nothing left to {}: the states of the first {} turns were let "
                                  "go to save memory",
                                  what, forgotten));
  }

  void Save(const std::string& path) {
    const Snapshot here = conversation_.Here();
    here.state.Save(path, here.logits);
    Note(fmt::format("(saved to {})", path));
  }

  void ShowSettings() {
    for (const std::string& line : ShowSampling(sampling_)) Note(line);
    Note(fmt::format("max-tokens {}", conversation_.options().max_tokens));
  }

  void Set(std::string_view argument) {
    const std::string_view key = FirstWord(argument);
    const std::string value(Needed(std::string(AfterFirstWord(argument)), "/set KEY VALUE"));
    ConversationOptions& options = conversation_.options();
    if (key == "max-tokens" || key == "max_tokens") {
      const bool digits = value.find_first_not_of("0123456789") == value.npos;
      if (!digits || value.size() > 9) {
        throw Error(ErrorKind::kBadInput, fmt::format("max-tokens: '{}' is no number", value));
      }
      options.max_tokens = std::stoul(value);
    } else if (key == "think") {
      const Think think = ThinkFor(value, *options.chat_template);
      options.chat_template->ReplyStart(think);
      options.think = think;
    } else {
      Sampling changed = sampling_;
      SetSampling(changed, key, value);
      FitSampling(changed, *tokenizer_, session_.model().config().vocab);
      sampling_ = std::move(changed);
      session_.sampler() = Sampler(sampling_.options, tokenizer_);
    }
  }

  bool json_;
  Sampling sampling_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Session& session_;
  Conversation conversation_;
  LineReader& lines_;
};

std::string Banner(const Model& model, const ChatTemplate& form) {
  const Config& c = model.config();
  return fmt::format("{}: RWKV-{}, {} layers of {}, template {}; /help lists the commands",
                     model.path().filename().string(), Name(c.generation), c.layers, c.width,
                     form.name());
}

// The built-in model's: what it is and what may be typed.
constexpr const char* kBuiltInBanner =
    "A small storyteller. Try: a story about a fox | go on | what did he do? | /help";

// A model this small strays with a wide choice, and loses its hero's name to strong penalties.
void FitBuiltIn(Sampling& sampling) {
  const auto unless_given = [&](const char* name, float& value, float fit) {
    if (!sampling.given.contains(name)) value = fit;
  };
  unless_given("top-p", sampling.options.top_p, 0.5f);
  unless_given("presence-penalty", sampling.options.presence_penalty, 0.2f);
  unless_given("frequency-penalty", sampling.options.frequency_penalty, 0.2f);
}

void RunChat(Options o) {
  const bool built_in = o.model.empty();
  if (built_in) FitBuiltIn(o.sampling);
  SettleSampling(o.sampling);
  const Model model = OpenModel(o.common, o.model);
  const auto tokenizer = TokenizerFor(o.common, model);
  FitSampling(o.sampling, *tokenizer, model.config().vocab);
  const ChatTemplate& form = TemplateFor(o.chat_template, model, *tokenizer);
  Workspace workspace = NewWorkspace(o.common);
  Session session(model, *tokenizer, workspace, StartOf(o.state, model),
                  Sampler(o.sampling.options, tokenizer));
  const auto lines = LineReader::New();
  Chat chat(o, tokenizer, session,
            {.chat_template = &form,
             .system = o.system,
             .think = ThinkFor(o.think, form),
             .max_tokens = o.max_tokens,
             .stops = o.stops},
            *lines);
  Note(built_in ? kBuiltInBanner : Banner(model, form));
  chat.Run();
}

constexpr const char* kExample =
    "linnet chat model.pth --system 'Answer in one sentence.'\n\n"
    "Without MODEL it is a talk with the small model that is built in.\n"
    "Lines come from stdin, replies go to stdout, all else to stderr; /help lists the commands.\n"
    "The template goes by the model: world and world-classic for World models, g1 for those\n"
    "whose file name says so, raven for 20B models, alpaca-json for models of bytes.";

}  // namespace

void AddChat(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command =
      AddCommand(app, "chat", "Talk to a model", kExample, o->common, [o] { RunChat(*o); });
  command->add_option("MODEL", o->model, "A checkpoint; the built-in model if not given");
  auto templates = ChatTemplate::Names();
  templates.insert(templates.begin(), "auto");
  command->add_option("--template", o->chat_template, "How the talk is written for the model")
      ->capture_default_str()
      ->check(CLI::IsMember(templates));
  command
      ->add_option("--think", o->think,
                   "Thoughts before replies; off and on, or none, fast, free, bit, medium, lot")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "off", "on", "none", "fast", "free", "bit", "medium", "lot"}));
  command->add_option("--system", o->system, "The system text")->type_name("TEXT");
  command->add_option("--max-tokens", o->max_tokens, "Tokens of a reply at most")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--stop", o->stops, "End a reply before this, too; may come often")
      ->allow_extra_args(false)
      ->type_name("S");
  command->add_option("--state", o->state, "Start from this saved or tuned state")
      ->type_name("FILE");
  AddAdapterOption(*command, o->common);
  AddSamplingOptions(*command, o->sampling);
}

}  // namespace linnet::cli
