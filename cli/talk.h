// Talk: the loop of `linnet chat`; handles each message, a question or a command.
#ifndef LINNET_CLI_TALK_H_
#define LINNET_CLI_TALK_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "cli/cli.h"
#include "cli/message_reader.h"
#include "cli/sampling.h"
#include "cli/talk_settings.h"
#include "engine/conversation.h"

namespace linnet::cli {

struct TalkOptions {
  CommonOptions common;
  Sampling sampling;
  std::string think, form;  // names, as given in options
  ConversationOptions conversation;
};

// Replies go to stdout, everything else to stderr. Keeps references. One thread at a time.
class Talk {
 public:
  Talk(TalkOptions options, std::shared_ptr<const Tokenizer> tokenizer, Session& session,
       LineReader& lines);

  // Runs until the end of the input or /quit. Throws Interruption if Ctrl-C, SIGTERM or SIGHUP ends
  // it, and OutputError.
  void Run();

 private:
  struct Command {
    const char* name;
    const char* argument;  // as shown by /help
    const char* does;
    void (Talk::*run)(const std::string& argument);
    bool needs_argument = false;
  };
  static const Command kCommands[];

  void OnMessage(const Message& message);
  void OnCommand(std::string_view line);
  void Answer(const std::function<Written(const Watcher&)>& write);

  // The commands.
  void Help(const std::string&);
  void Reset(const std::string&);
  void Retry(const std::string&);
  void Undo(const std::string&);
  void Save(const std::string& path);
  void SaveOver(const std::string& path);
  void Load(const std::string& path);
  void Export(const std::string& path);
  void ExportOver(const std::string& path);
  void Set(const std::string& setting);
  void Tokens(const std::string&);
  void System(const std::string& text);
  void Quit(const std::string&);

  [[noreturn]] void RefuseStep(const char* what) const;
  void SaveTo(const std::string& name, bool overwrite);
  void ExportTo(const std::string& name, bool overwrite);
  void StartCounting() { counts_ = {}; }

  // Since the start, or since the last command that started a new chat.
  struct Counts {
    size_t turns = 0, prompt_tokens = 0, tokens = 0;
    Written last;  // without its text
  };

  CommonOptions common_;
  std::set<std::string> saved_;  // files that this chat wrote and may overwrite
  bool over_ = false;
  Conversation conversation_;
  TalkSettings settings_;
  MessageReader messages_;
  LineReader& lines_;
  Counts counts_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_TALK_H_
