// The commands of a chat.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "cli/cli.h"
#include "cli/output_file.h"
#include "cli/talk.h"
#include "cli/talk_export.h"
#include "cli/trained_length.h"
#include "cli/user_paths.h"
#include "cli/writing.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

// "1 turn", "2 turns".
std::string Counted(size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string_view FirstWord(std::string_view text) { return text.substr(0, text.find(' ')); }

std::string AfterFirstWord(std::string_view text) {
  const size_t blank = text.find(' ');
  const size_t begin = text.find_first_not_of(' ', blank);
  return std::string(begin == text.npos ? std::string_view() : text.substr(begin));
}

std::string Percent(size_t part, size_t of) {
  return fmt::format("{:.0f} %", 100 * static_cast<double>(part) / static_cast<double>(of));
}

}  // namespace

const Talk::Command Talk::kCommands[] = {
    {"/help", "", "show this list", &Talk::Help},
    {"/reset", "", "start a new chat", &Talk::Reset},
    {"/retry", "", "generate another reply to the last message", &Talk::Retry},
    {"/undo", "", "undo the last message and its reply, a /load or a /reset", &Talk::Undo},
    {"/save", "FILE", "save the state to a file", &Talk::Save, true},
    {"/save!", "FILE", "the same, also replacing a file of another kind", &Talk::SaveOver, true},
    {"/load", "FILE", "continue from a saved or tuned state", &Talk::Load, true},
    {"/export", "FILE", "write the chat as Markdown (.md) or JSON (.json)", &Talk::Export, true},
    {"/export!", "FILE", "the same, also replacing a file of another kind", &Talk::ExportOver,
     true},
    {"/set", "[KEY [VALUE]]", "show all settings or one, or change one", &Talk::Set},
    {"/tokens", "", "show tokens, speed and the used context", &Talk::Tokens},
    {"/system", "TEXT", "start a new chat with this system text", &Talk::System},
    {"/quit", "", "leave, as Ctrl-D does", &Talk::Quit},
    {"/exit", "", "the same", &Talk::Quit},
};

void Talk::OnCommand(std::string_view line) {
  const std::string_view name = FirstWord(line);
  const auto command = std::find_if(std::begin(kCommands), std::end(kCommands),
                                    [&](const Command& c) { return name == c.name; });
  if (command == std::end(kCommands)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{} is not a command; /help lists them, and a blank before the / makes "
                            "it text",
                            name));
  }
  const std::string argument = AfterFirstWord(line);
  if (command->needs_argument && argument.empty()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("usage: {} {}", command->name, command->argument));
  }
  (this->*command->run)(argument);
}

void Talk::Help(const std::string&) {
  for (const Command& c : kCommands) {
    Say(fmt::format("  {:<20} {}\n", fmt::format("{} {}", c.name, c.argument), c.does));
  }
  Say("A line that ends in \\ continues on the next; \"\"\" begins and ends a text of\n"
      "several lines; a paste of several lines is one message. A blank before a /\n"
      "makes it text.\n"
      "Ctrl-C stops a reply, and clears what was typed.\n");
}

void Talk::Reset(const std::string&) {
  conversation_.Reset();
  StartCounting();
  Say("(a new talk; /undo goes back)\n");
}

void Talk::Retry(const std::string&) {
  if (!conversation_.can_retry()) RefuseStep("retry");
  Answer([&](const Watcher& watcher) { return conversation_.Retry(watcher); });
}

void Talk::Undo(const std::string&) {
  if (conversation_.steps() == 0) RefuseStep("undo");
  conversation_.Undo();
  Say(fmt::format("(taken back; {} more can be)\n", conversation_.steps()));
}

void Talk::RefuseStep(const char* what) const {
  const size_t forgotten = conversation_.forgotten();
  throw Error(ErrorKind::kBadInput,
              conversation_.steps() > 0 || forgotten == 0
                  ? fmt::format("nothing to {}", what)
                  : fmt::format("nothing left to {}: the states of the first {} turns were dropped "
                                "to save memory",
                                what, forgotten));
}

void Talk::Save(const std::string& path) { SaveTo(path, false); }

void Talk::SaveOver(const std::string& path) { SaveTo(path, true); }

void Talk::SaveTo(const std::string& name, bool overwrite) {
  const std::string file = ExpandHome(name);
  common_.overwrite = overwrite;
  CheckOutput(common_, {.path = file, .kind = StateOutput(), .overwrite = "/save! FILE"});
  const Snapshot here = conversation_.Here();
  here.state.Save(file, here.logits);
  saved_.insert(file);
  Say(fmt::format("(saved to {})\n", file));
}

void Talk::Load(const std::string& path) {
  const std::string file = ExpandHome(path);
  conversation_.GoTo(StartOf(file, conversation_.session().model()));
  StartCounting();
  if (!saved_.contains(file)) AddInput(common_, file);
  Say(fmt::format("(goes on from {}; /undo goes back)\n", file));
}

void Talk::Export(const std::string& path) { ExportTo(path, false); }

void Talk::ExportOver(const std::string& path) { ExportTo(path, true); }

void Talk::ExportTo(const std::string& name, bool overwrite) {
  const std::string file = ExpandHome(name);
  CheckExportName(file);
  common_.overwrite = overwrite;
  CheckOutput(common_, {.path = file, .kind = TalkOutput(), .overwrite = "/export! FILE"});
  const TalkRecord record{.model = conversation_.session().model().path().filename().string(),
                          .system = conversation_.system(),
                          .exchanges = conversation_.exchanges(),
                          .missing = conversation_.missing(),
                          .whole = conversation_.whole()};
  ExportTalk(record, file);
  Say(fmt::format("(wrote {} to {})\n", Counted(record.exchanges.size(), "turn"), file));
}

void Talk::Set(const std::string& setting) {
  const std::string_view key = FirstWord(setting);
  const std::string value = AfterFirstWord(setting);
  if (setting.empty()) {
    for (const std::string& line : settings_.All()) Say(line + "\n");
  } else {
    if (!value.empty()) settings_.Set(key, value);
    Say(settings_.Show(key) + "\n");
  }
}

void Talk::Tokens(const std::string&) {
  const Written& last = counts_.last;
  Say(fmt::format("last reply: {} tokens read, {} written, {:.1f} tokens/s\n", last.prompt_tokens,
                  last.tokens, last.tokens_per_s()));
  Say(fmt::format("this talk: replies {}, {} tokens read, {} written\n", counts_.turns,
                  counts_.prompt_tokens, counts_.tokens));
  const size_t used = conversation_.tokens();
  const size_t length = TrainedLength(conversation_.session().model().path());
  Say(fmt::format("position: {} tokens{}, of {}\n", used,
                  conversation_.whole() ? "" : " since the loaded state",
                  length == 0 ? std::string("an unknown length that the model was trained at")
                              : fmt::format("{} that the model was trained at ({})", length,
                                            Percent(used, length))));
  const State& state = conversation_.state();
  const size_t bytes = state.shape().token_bytes();
  if (bytes == 0) return;
  const size_t most = state.shape().row_limit / bytes;
  Say(fmt::format(
      "memory: {:.1f} KB a token for attention, {:.1f} MB for {}, at most {} "
      "(--row-limit)\n",
      static_cast<double>(bytes) / 1e3, static_cast<double>(bytes * state.tokens()) / 1e6,
      Counted(state.tokens(), "token"), Counted(most, "token")));
}

void Talk::System(const std::string& text) {
  conversation_.options().system = text;
  Reset({});
}

void Talk::Quit(const std::string&) { over_ = true; }

}  // namespace linnet::cli
