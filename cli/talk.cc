#include "cli/talk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/writing.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

std::string_view WithoutLeadingBlanks(std::string_view text) {
  return text.substr(std::min(text.size(), text.find_first_not_of(" \n")));
}

}  // namespace

Talk::Talk(TalkOptions options, std::shared_ptr<const Tokenizer> tokenizer, Session& session,
           LineReader& lines)
    : common_(std::move(options.common)),
      conversation_(session, std::move(options.conversation)),
      settings_(conversation_, std::move(tokenizer), std::move(options.sampling),
                std::move(options.think), std::move(options.form)),
      messages_(lines),
      lines_(lines) {}

void Talk::Run() {
  // On a terminal, one Ctrl-C too many must not end the chat.
  const InterruptScope interrupts(lines_.interactive() ? InterruptScope::Patience::kAlways
                                                       : InterruptScope::Patience::kOnce);
  Message message;
  while (!over_) {
    if (!messages_.Read(message)) {
      if (lines_.interactive()) Say("\n");
      return;
    }
    InterruptScope::Clear();
    try {
      OnMessage(message);
    } catch (const OutputError&) {
      throw;
    } catch (const Error& error) {
      Say(MessageOf(error) + "\n");
    } catch (const Interruption&) {
      Say("(stopped)\n");
    }
    if (InterruptScope::Ended()) throw Interruption();
    InterruptScope::Clear();  // the work that it stopped has ended
  }
}

void Talk::OnMessage(const Message& message) {
  if (message.text.empty()) return;
  if (message.command) return OnCommand(message.text);
  Answer([&](const Watcher& watcher) { return conversation_.Ask(message.text, watcher); });
}

void Talk::Answer(const std::function<Written(const Watcher&)>& write) {
  Watcher watcher = NewWatcher();
  if (!common_.json) {
    watcher.text = [begun = false](std::string_view text) mutable {
      if (!begun) text = WithoutLeadingBlanks(text);
      begun |= !text.empty();
      Print(text);
      FlushOutput();
    };
  }
  Written written = write(watcher);
  written.text = WithoutLeadingBlanks(written.text);
  Print(common_.json ? ToJson(written) + "\n" : "\n");
  FlushOutput();
  if (written.finish == Finish::kInterrupted) Say("(stopped)\n");
  if (written.finish == Finish::kLength) {
    Say(fmt::format("(cut at {} tokens; /set max-tokens N allows more)\n", written.tokens));
  }
  ++counts_.turns;
  counts_.prompt_tokens += written.prompt_tokens;
  counts_.tokens += written.tokens;
  written.text.clear();
  counts_.last = std::move(written);
}

}  // namespace linnet::cli
