// What linnet/local.py runs: requests of OpenAI's chat, read and answered as the server does, but
// by the caller's thread and without a scheduler.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/bindings.h"
#include "bindings/python/generation.h"
#include "cli/sampling.h"
#include "cli/talk_settings.h"
#include "server/chat_plan.h"
#include "server/json_fields.h"
#include "server/openai_answer.h"
#include "server/reply_reader.h"
#include "server/served_model.h"

namespace linnet::python {
namespace {

struct ChatService {
  std::shared_ptr<OpenedModel> opened;
  ServedModel served;
};

// Collects the events of one reply as tuples for Python.
class EventList : public ChatEvents {
 public:
  void OnThought(size_t, std::string_view text) override { Add("thought", Text(text)); }
  void OnText(size_t, std::string_view text, std::span<const TokenInfo> tokens) override {
    nb::list list;
    for (const TokenInfo& token : tokens) {
      nb::list top;
      for (const auto& [id, logprob] : token.top) top.append(nb::make_tuple(id, logprob));
      list.append(nb::make_tuple(token.id, token.logprob, top));
    }
    Add("text", Text(text), list);
  }
  void OnCall(size_t, size_t call, const std::string& id, const std::string& name) override {
    Add("call", call, id, name);
  }
  void OnArguments(size_t, size_t call, std::string_view json) override {
    Add("arguments", call, Text(json));
  }

  nb::list Take() { return std::exchange(list_, nb::list()); }

 private:
  static nb::str Text(std::string_view text) { return nb::str(text.data(), text.size()); }
  template <class... Parts>
  void Add(Parts&&... parts) {
    list_.append(nb::make_tuple(std::forward<Parts>(parts)...));
  }

  nb::list list_;
};

// One reply. The reader keeps references to the plan's form and the list, so it stays in place.
struct ChatReplyObject {
  ChatReplyObject(ChatPlan from, std::unique_ptr<GenerationObject> begun)
      : form(std::move(from.form)), text(std::move(begun)), reader(form, 0, events) {}
  ChatReplyObject(const ChatReplyObject&) = delete;
  ChatReplyObject& operator=(const ChatReplyObject&) = delete;

  const ReplyForm form;
  std::unique_ptr<GenerationObject> text;
  EventList events;
  ReplyReader reader;
  std::vector<TokenInfo> waiting;  // tokens whose text was not shown yet
  bool ended = false;
};

ChatService* NewService(const ModelObject& model, const std::string& chat_template,
                        const std::string& think, size_t max_tokens) {
  OpenedModel& opened = *model.opened;
  auto service = std::make_unique<ChatService>();
  service->opened = model.opened;
  ServedModel& served = service->served;
  served.name = opened.model.path().stem().string();
  served.model = &opened.model;
  served.tokenizer = opened.NeedTokenizer();
  served.vocab = opened.model.config().vocab;
  // Templates by name are never freed.
  const ChatTemplate& form = cli::TemplateFor(chat_template, opened.model, *served.tokenizer);
  served.chat_template = std::shared_ptr<const ChatTemplate>(&form, [](const ChatTemplate*) {});
  served.think = cli::ThinkFor(think, form);
  cli::Sampling sampling = cli::ChatSampling(opened.built_in);
  cli::FitSampling(sampling, *served.tokenizer, served.vocab);
  served.chat_sampling = sampling.options;
  served.max_tokens = max_tokens;
  return service.release();
}

ChatReplyObject* BeginReply(ChatService& self, const std::string& body) {
  ChatPlan plan = [&] {
    const nb::gil_scoped_release released;  // a schema may be large
    return PlanChat(ParseChat(ParseBody(body)), self.served);
  }();
  Job& job = plan.job;
  TextPlan text{.ids = std::move(job.prompt),
                .options = std::move(job.text),
                .logprobs = job.want_logprobs ? std::optional(job.logprobs) : std::nullopt,
                .grammar = std::move(job.grammar)};
  auto generation = BeginText(self.opened, std::move(text),
                              Sampler(std::move(job.sampler), self.served.tokenizer));
  return new ChatReplyObject(std::move(plan), std::move(generation));
}

TokenInfo InfoOf(const WrittenPiece& piece) {
  TokenInfo info{.id = piece.token, .logprob = static_cast<float>(piece.logprob.value_or(0))};
  for (const auto& [id, logprob] : piece.top) {
    info.top.emplace_back(id, static_cast<float>(logprob));
  }
  return info;
}

// The events of the next token; none at the end.
std::optional<nb::list> NextEvents(ChatReplyObject& self) {
  if (self.ended) return std::nullopt;
  const Written& written = self.text->writing.written();
  const size_t before = written.tokens;
  const auto piece = NextPiece(*self.text);
  // An id that ends the text is not one of its tokens.
  if (piece && written.tokens > before) self.waiting.push_back(InfoOf(*piece));
  self.ended = !piece;
  if (self.ended || !piece->text.empty()) {
    self.reader.Push(piece ? piece->text : "", self.waiting);
    self.waiting.clear();
  }
  if (self.ended) self.reader.Finish();
  return self.events.Take();
}

std::string FinishOf(const ChatReplyObject& self) {
  ChatFinish finish = ChatFinish::kStop;
  switch (self.text->writing.written().finish) {
    case Finish::kLength:
      finish = ChatFinish::kLength;
      break;
    case Finish::kInterrupted:
      finish = ChatFinish::kCancelled;
      break;
    default:
      if (self.reader.calls() > 0 && self.reader.calls_complete()) finish = ChatFinish::kCalls;
  }
  return FinishReason(finish);
}

}  // namespace

void AddChatService(nb::module_& m) {
  nb::class_<ChatReplyObject>(m, "_ChatReply", "A reply being written, for linnet.local.")
      .def("next", NextEvents,
           "What the next token added, as a list of (\"thought\", text), (\"text\", text,\n"
           "[(id, logprob, [(id, logprob)])]), (\"call\", number, id, name) and (\"arguments\",\n"
           "number, json); None at the end.")
      .def_prop_ro("finish_reason", FinishOf, "\"stop\", \"length\" or \"tool_calls\".")
      .def_prop_ro(
          "prompt_tokens",
          [](const ChatReplyObject& self) { return self.text->writing.written().prompt_tokens; },
          "The tokens of the prompt, once it was read.")
      .def_prop_ro(
          "tokens", [](const ChatReplyObject& self) { return self.text->writing.written().tokens; },
          "The tokens that were written.")
      .def_prop_ro(
          "thought_tokens",
          [](const ChatReplyObject& self) { return self.reader.thought_tokens(); },
          "Those of them that were thoughts.")
      .def_prop_ro(
          "logprobs", [](const ChatReplyObject& self) { return self.text->logprobs.has_value(); },
          "Whether probabilities were asked for.");
  nb::class_<ChatService>(m, "_ChatService", "A model that answers chats, for linnet.local.")
      .def(nb::new_(&NewService), nb::arg("model"), nb::kw_only(), nb::arg("template"),
           nb::arg("think"), nb::arg("max_tokens"))
      .def("begin", BeginReply, nb::arg("body"),
           "Begins the reply to a request of /v1/chat/completions, JSON. Raises InputError.");
}

}  // namespace linnet::python
