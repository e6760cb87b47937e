// Model.chat: a conversation.
#include <fmt/format.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/bindings.h"
#include "bindings/python/generation.h"
#include "cli/talk_settings.h"
#include "engine/conversation.h"
#include "text/chat_template.h"

namespace linnet::python {
namespace {

struct ChatObject {
  ChatObject(std::shared_ptr<OpenedModel> model, Workspace& workspace, Snapshot start,
             Sampler sampler, ConversationOptions options)
      : opened(std::move(model)),
        tokenizer(opened->NeedTokenizer()),
        session(opened->model, *tokenizer, workspace, std::move(start), std::move(sampler)),
        conversation(session, std::move(options)),
        forks(Forks()) {}

  std::shared_ptr<OpenedModel> opened;
  std::shared_ptr<const Tokenizer> tokenizer;
  Session session;
  Conversation conversation;
  uint64_t forks;
  Written last;  // without its text
  Busy busy;

  // For one call.
  Busy::Use Enter() {
    if (forks != Forks()) {
      throw Error(ErrorKind::kBadInput,
                  "the chat was begun before fork(); begin another in this process");
    }
    return Busy::Use(busy, "the chat");
  }
};

ChatObject* Chat(const ModelObject& model, const std::string& system,
                 const std::string& chat_template, const std::string& think, size_t max_tokens,
                 const std::vector<std::string>& stop, StateObject* state, nb::handle grammar,
                 nb::handle json_schema, nb::handle regex, const nb::kwargs& settings) {
  OpenedModel& opened = *model.opened;
  const auto tokenizer = opened.NeedTokenizer();
  const ChatTemplate& form = cli::TemplateFor(chat_template, opened.model, *tokenizer);
  const auto limit = GrammarOf(grammar, json_schema, regex);
  ConversationOptions options{.chat_template = &form,
                              .system = system,
                              .think = ThinkBeside(limit, think, form),
                              .max_tokens = max_tokens,
                              .stops = stop,
                              .grammar = limit};
  Snapshot start{opened.model.NewState(), {}};
  if (state != nullptr) {
    const Busy::Use use(state->busy, "the state");
    start = {state->state.Clone(), state->logits};
  }
  Sampler sampler = NewSampler(settings, &opened, SamplingFor::kChat);
  ChatObject* chat = nullptr;
  opened.workers.Run([&](Workspace& workspace) {
    chat = new ChatObject(model.opened, workspace, std::move(start), std::move(sampler),
                          std::move(options));
  });
  return chat;
}

// Runs `write(watcher)`, which writes a reply. Ctrl-C, and an exception of `on_text`, end the
// reply.
template <class F>
std::string Reply(ChatObject& self, const nb::object& on_text, F&& write) {
  const Busy::Use use = self.Enter();
  std::string text;
  self.opened->workers.Run([&](Workspace&) {
    Watcher watcher;
    watcher.interrupted = [] { return Interrupted(); };
    watcher.text = [&](std::string_view part) {
      if (!on_text.is_none()) Call(on_text, std::string(part));
    };
    self.last = write(watcher);
    text = std::exchange(self.last.text, {});
  });
  RaisePending();
  return text;
}

std::string Ask(ChatObject& self, const std::string& text, const nb::object& on_text) {
  return Reply(self, on_text,
               [&](const Watcher& watcher) { return self.conversation.Ask(text, watcher); });
}

std::string Retry(ChatObject& self, const nb::object& on_text) {
  return Reply(self, on_text, [&](const Watcher& watcher) {
    if (!self.conversation.can_retry()) {
      throw Error(ErrorKind::kBadInput, "there is no reply to write again");
    }
    return self.conversation.Retry(watcher);
  });
}

void Undo(ChatObject& self) {
  const Busy::Use use = self.Enter();
  self.opened->workers.Run([&](Workspace&) {
    if (self.conversation.steps() == 0) {
      throw Error(ErrorKind::kBadInput, "there is nothing to undo");
    }
    self.conversation.Undo();
  });
}

void Reset(ChatObject& self) {
  const Busy::Use use = self.Enter();
  self.opened->workers.Run([&](Workspace&) { self.conversation.Reset(); });
}

StateObject* Here(ChatObject& self) {
  const Busy::Use use = self.Enter();
  Snapshot here = self.opened->workers.Run([&](Workspace&) { return self.conversation.Here(); });
  return new StateObject(std::move(here.state), std::move(here.logits));
}

std::vector<std::pair<std::string, std::string>> Messages(ChatObject& self) {
  const Busy::Use use = self.Enter();
  std::vector<std::pair<std::string, std::string>> messages;
  for (Exchange& exchange : self.conversation.exchanges()) {
    messages.emplace_back("user", std::move(exchange.user));
    messages.emplace_back("assistant", std::move(exchange.reply));
  }
  return messages;
}

}  // namespace

void AddChat(nb::module_& m) {
  m.def("chat_templates", &ChatTemplate::Names, "The names of the chat templates.");
  nb::class_<ChatObject>(
      m, "Chat",
      "A conversation with a model. One call at a time may use it. After KeyboardInterrupt the\n"
      "partial reply is kept, or nothing changed if it had not begun.")
      .def("ask", Ask, nb::arg("text"), nb::kw_only(), nb::arg("on_text") = nb::none(),
           "A turn of the user; returns the reply. on_text is called with each part of it.")
      .def("retry", Retry, nb::kw_only(), nb::arg("on_text") = nb::none(),
           "Writes the last reply again, with other random numbers.")
      .def("undo", Undo, "Goes back before the last turn; runs no tokens.")
      .def("reset", Reset, "Starts the conversation again.")
      .def_prop_ro("messages", Messages, "The turns: [(\"user\" or \"assistant\", text)].")
      .def_prop_ro("state", Here, "A new State after the last reply.")
      .def_prop_ro(
          "tokens", [](const ChatObject& self) { return self.conversation.tokens(); },
          "Tokens of the conversation so far.")
      .def_prop_ro(
          "finish_reason",
          [](const ChatObject& self) { return std::string(Name(self.last.finish)); },
          "Of the last reply: \"stop\", \"length\" or \"interrupted\"; \"none\" before it.")
      .def_prop_ro(
          "reply_tokens", [](const ChatObject& self) { return self.last.tokens; },
          "Tokens of the last reply.")
      .def_prop_ro(
          "prompt_tokens", [](const ChatObject& self) { return self.last.prompt_tokens; },
          "Tokens that were read before the last reply.");
}

void AddChatTo(nb::class_<ModelObject>& model) {
  model.def(
      "chat", Chat, nb::kw_only(), nb::arg("system") = "", nb::arg("template") = "auto",
      nb::arg("think") = "auto", nb::arg("max_tokens") = 1024,
      nb::arg("stop") = std::vector<std::string>(), nb::arg("state") = nb::none(),
      nb::arg("grammar") = nb::none(), nb::arg("json_schema") = nb::none(),
      nb::arg("regex") = nb::none(), nb::arg("settings"),
      "Begins a conversation.\n\n"
      "template: a name of chat_templates(), or \"auto\" for the one that fits the model.\n"
      "think: \"auto\", \"on\", \"off\", \"fast\", \"free\", \"bit\", \"medium\", \"lot\".\n"
      "max_tokens: of a reply. state: the start, or the end of a reply. Settings of sampling\n"
      "by their names (see Sampler), with the defaults of `linnet chat`. grammar, json_schema\n"
      "and regex, one of them, as in generate: what each reply must match, after a blank or\n"
      "none. Then replies have no thoughts.\n\n"
      "Raises InputError.");
}

}  // namespace linnet::python
