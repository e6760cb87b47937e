// TalkSettings: what /set shows and changes in a talk.
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

// The template of that name; for "auto" the one that this model was trained on.
const ChatTemplate& TemplateFor(const std::string& name, const Model& model,
                                const Tokenizer& tokenizer);

// ParseThink's names, "auto", "on" and "off", which for a model that thinks by itself means an
// empty thought. Throws Error kBadInput.
Think ThinkFor(const std::string& name, const ChatTemplate& form);

// Keeps a reference to the conversation. One thread at a time.
class TalkSettings {
 public:
  // The conversation has these already; `think` and `form` are the names that led to them.
  TalkSettings(Conversation& conversation, std::shared_ptr<const Tokenizer> tokenizer,
               Sampling sampling, std::string think, std::string form);

  // "temperature 1", one for each setting.
  std::vector<std::string> All() const;

  // A line of All. `_` in the key is as good as `-`. Throws Error kBadInput.
  std::string Show(std::string_view key) const;

  // Counts from the next reply on. Throws Error kBadInput, and then nothing has changed.
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
