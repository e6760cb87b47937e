// TalkSettings: the settings that /set shows and changes.
#ifndef LINNET_CLI_TALK_SETTINGS_H_
#define LINNET_CLI_TALK_SETTINGS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/sampling.h"
#include "engine/conversation.h"
#include "linnet/tokenizer.h"

namespace linnet::cli {

// The template of that name; for "auto" the one that the model was trained with.
const ChatTemplate& TemplateFor(const std::string& name, const Model& model,
                                const Tokenizer& tokenizer);

// Accepts ParseThink's names, "auto", "on" and "off". For a model that thinks by default, "off"
// means an empty thought. Throws Error kBadInput.
Think ThinkFor(const std::string& name, const ChatTemplate& form);

// Keeps a reference to the conversation. One thread at a time.
class TalkSettings {
 public:
  // The conversation already has these; `think` and `form` are the names that selected them.
  TalkSettings(Conversation& conversation, std::shared_ptr<const Tokenizer> tokenizer,
               Sampling sampling, std::string think, std::string form);

  // Lines such as "temperature 1", one per setting.
  std::vector<std::string> All() const;

  // A line of All. `_` and `-` in the key are equivalent. Throws Error kBadInput.
  std::string Show(std::string_view key) const;

  // Takes effect with the next reply. Throws Error kBadInput; then nothing has changed.
  void Set(std::string_view key, const std::string& value);

 private:
  void SetTemplate(const std::string& name);
  void SetThink(const std::string& name);
  void SetStop(const std::string& value);
  const Model& model() const { return conversation_.session().model(); }

  Conversation& conversation_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Sampling sampling_;
  std::string think_, form_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_TALK_SETTINGS_H_
