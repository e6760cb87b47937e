#include "bindings/python/generation.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/arrays.h"
#include "cli/talk_settings.h"
#include "engine/session.h"
#include "kernels/sampling.h"
#include "text/candidates.h"
#include "text/chat_template.h"

namespace linnet::python {
namespace {

void Weigh(std::span<const float> logits, size_t top, std::vector<float>& scratch,
           WrittenPiece& piece) {
  const float largest = Largest(logits);
  scratch.resize(logits.size());
  const double log_sum =
      std::log(WeighRow(logits.data(), logits.size(), largest, 1, scratch.data()));
  const auto logprob = [&](int32_t id) {
    return double{logits[static_cast<size_t>(id)]} - largest - log_sum;
  };
  piece.logprob = logprob(piece.token);
  if (top == 0) return;
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + static_cast<ptrdiff_t>(std::min(top, ids.size()));
  std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  });
  for (auto it = ids.begin(); it != end; ++it) piece.top.emplace_back(*it, logprob(*it));
}

// The session keeps the workspace of this process.
void CheckNotForked(const GenerationObject& self) {
  if (self.forks == Forks()) return;
  throw Error(ErrorKind::kBadInput,
              "the text was begun before fork(); call generate again in this process");
}

std::vector<int32_t> IdsOf(nb::handle tokens) {
  const Tokens given(tokens);
  return {given.ids().begin(), given.ids().end()};
}

GenerationObject* Generate(const ModelObject& model, nb::handle prompt, size_t max_tokens,
                           const std::vector<std::string>& stop, const nb::object& stop_ids,
                           StateObject* state, SamplerObject* sampler,
                           std::optional<size_t> logprobs, nb::handle grammar,
                           nb::handle json_schema, nb::handle regex, const nb::kwargs& settings) {
  const auto tokenizer = model.opened->NeedTokenizer();
  if (sampler != nullptr && settings.size() > 0) {
    throw Error(ErrorKind::kBadInput, "give a sampler or settings of sampling, not both");
  }
  TextPlan plan{.ids = PyUnicode_Check(prompt.ptr())
                           ? EncodePrompt(*tokenizer, nb::cast<std::string>(prompt))
                           : IdsOf(prompt),
                .options = {.max_tokens = max_tokens, .stops = stop},
                .state = state,
                .logprobs = logprobs,
                .grammar = GrammarOf(grammar, json_schema, regex)};
  if (!stop_ids.is_none()) plan.options.stop_ids = IdsOf(stop_ids);
  Sampler choice = sampler != nullptr
                       ? sampler->sampler
                       : NewSampler(settings, model.opened.get(), SamplingFor::kText);
  return BeginText(model.opened, std::move(plan), std::move(choice)).release();
}

std::string Entry(const nb::dict& message, const char* key) {
  if (message.contains(key) && nb::isinstance<nb::str>(message[key])) {
    return nb::cast<std::string>(message[key]);
  }
  throw Error(ErrorKind::kBadInput, fmt::format("a message has no text in '{}'", key));
}

// The prompt for a reply to messages of the roles system, user and assistant.
std::string PromptOf(const ChatTemplate& form, Think think, nb::handle messages) {
  std::string system, user, prompt;
  bool waiting = false;
  for (const nb::handle item : nb::iter(messages)) {
    const auto message = nb::cast<nb::dict>(item);
    const std::string role = Entry(message, "role"), content = Entry(message, "content");
    if (role == "system" && !waiting && prompt.empty()) {
      system += (system.empty() ? "" : "\n") + content;
    } else if (role == "user") {
      user += (waiting ? "\n" : "") + content;
      waiting = true;
    } else if (role == "assistant" && waiting) {
      prompt += form.Past(user, content);
      user.clear();
      waiting = false;
    } else {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("a message of the role '{}' is out of place, expected system first, "
                              "then user and assistant in turn",
                              role));
    }
  }
  if (!waiting) throw Error(ErrorKind::kBadInput, "the last message is not the user's");
  return form.Opening(system) + prompt + form.Prompt(user, think);
}

GenerationObject* Reply(const ModelObject& model, nb::handle messages,
                        const std::string& chat_template, const std::string& think_name,
                        size_t max_tokens, std::vector<std::string> stop,
                        std::optional<size_t> logprobs, nb::handle grammar, nb::handle json_schema,
                        nb::handle regex, const nb::kwargs& settings) {
  const OpenedModel& opened = *model.opened;
  const auto tokenizer = opened.NeedTokenizer();
  const ChatTemplate& form = cli::TemplateFor(chat_template, opened.model, *tokenizer);
  auto limit = GrammarOf(grammar, json_schema, regex);
  const Think think = ThinkBeside(limit, think_name, form);
  stop.insert(stop.end(), form.stops().begin(), form.stops().end());
  TextPlan plan{.ids = EncodePrompt(*tokenizer, PromptOf(form, think, messages)),
                .options = {.max_tokens = max_tokens,
                            .stops = std::move(stop),
                            .stop_ids = EndOfTextIds(*tokenizer)},
                .logprobs = logprobs,
                .grammar = limit == nullptr ? nullptr : limit->AfterBlank()};
  // An empty thought is not shown. The first character of the reply closes it, or if that must
  // match a grammar, the prompt does.
  const bool hidden = think == Think::kFast, closed = hidden && limit != nullptr;
  if (closed) {
    const auto close = tokenizer->Encode(">\n");
    plan.ids.insert(plan.ids.end(), close.begin(), close.end());
  }
  auto reply =
      BeginText(model.opened, std::move(plan), NewSampler(settings, &opened, SamplingFor::kChat));
  reply->closing = hidden && !closed;
  if (!hidden) reply->opening = form.ReplyStart(think);
  return reply.release();
}

// The text of `written` as it is shown.
std::string Shown(const GenerationObject& self, const std::string& written) {
  if (self.closing && written.starts_with('>')) return written.substr(1);
  return self.opening + written;
}

}  // namespace

Think ThinkBeside(const std::shared_ptr<const Grammar>& grammar, const std::string& name,
                  const ChatTemplate& form) {
  const Think think = cli::ThinkFor(grammar != nullptr && name == "auto" ? "off" : name, form);
  if (grammar != nullptr && think != Think::kNone && think != Think::kFast) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("think is '{}', but replies that must match a grammar have no "
                            "thoughts, expected off",
                            name));
  }
  return think;
}

std::unique_ptr<GenerationObject> BeginText(const std::shared_ptr<OpenedModel>& opened,
                                            TextPlan plan, Sampler sampler) {
  Snapshot start{opened->model.NewState(), {}};
  if (plan.state != nullptr) {
    const Busy::Use use(plan.state->busy, "the state");
    start = {plan.state->state.Clone(), plan.state->logits};
  }
  auto constraint = ConstraintOf(*opened, std::move(plan.grammar));
  Workspace* workspace = nullptr;
  opened->workers.Run([&](Workspace& w) { workspace = &w; });
  auto generation =
      std::make_unique<GenerationObject>(opened, *workspace, std::move(start), std::move(sampler),
                                         std::move(plan.options), std::move(constraint));
  generation->logprobs = plan.logprobs;
  generation->session.Feed(plan.ids);
  return generation;
}

std::optional<WrittenPiece> NextPiece(GenerationObject& self) {
  CheckNotForked(self);
  const Busy::Use use(self.busy, "the text");
  WrittenPiece piece;
  bool more = false;
  const size_t before = self.writing.written().tokens;
  const bool first = self.writing.written().text.empty();
  self.opened->workers.Run([&](Workspace&) {
    Watcher watcher;
    watcher.text = [&](std::string_view text) { piece.text += text; };
    watcher.sampled = [&](int32_t token, std::span<const float> logits) {
      piece.token = token;
      if (self.logprobs) Weigh(logits, *self.logprobs, self.scratch, piece);
    };
    // While decoding, Python looks for Ctrl-C between the pieces.
    if (!self.writing.begun()) watcher.interrupted = [] { return Interrupted(); };
    more = self.writing.Step(watcher);
  });
  RaisePending();
  // An id that ends the text is not part of it, but it may release text that was held back.
  const bool counted = self.writing.written().tokens > before;
  if (!more || (!counted && piece.text.empty())) return std::nullopt;
  if (first && !piece.text.empty()) piece.text = Shown(self, piece.text);
  return piece;
}

namespace {

WrittenPiece NextOrStop(GenerationObject& self) {
  std::optional<WrittenPiece> piece = NextPiece(self);
  if (!piece) throw nb::stop_iteration();
  return std::move(*piece);
}

// The rest, without a stop between the pieces.
std::string Finish(GenerationObject& self) {
  CheckNotForked(self);
  const Busy::Use use(self.busy, "the text");
  self.opened->workers.Run([&](Workspace&) {
    Watcher watcher;
    watcher.interrupted = [] { return Interrupted(); };
    while (self.writing.Step(watcher)) {
    }
  });
  RaisePending();
  return Shown(self, self.writing.written().text);
}

StateObject* StateAfter(GenerationObject& self) {
  CheckNotForked(self);
  const Busy::Use use(self.busy, "the text");
  Snapshot here = self.opened->workers.Run([&](Workspace&) { return self.session.Here().Clone(); });
  return new StateObject(std::move(here.state), std::move(here.logits));
}

// What `read` finds, while no call in another thread adds to it.
template <class F>
auto Read(F&& read) {
  return [read](GenerationObject& self) {
    const Busy::Use use(self.busy, "the text");
    return read(self);
  };
}

nb::dict Timings(const GenerationObject& self) {
  const Written& written = self.writing.written();
  nb::dict result;
  result["prompt_s"] = written.prompt_s;
  result["decode_s"] = written.decode_s;
  result["tokens_per_s"] = written.tokens_per_s();
  return result;
}

void AddPiece(nb::module_& m) {
  nb::class_<WrittenPiece>(m, "Piece", "What one token added to a text; str(piece) is its text.")
      .def_ro("text", &WrittenPiece::text,
              "Whole characters that can be shown now. Empty while a character is incomplete, or\n"
              "while the text may become a stop string.")
      .def_ro("token", &WrittenPiece::token, "The id.")
      .def_ro("logprob", &WrittenPiece::logprob,
              "The log of the probability that the model gave it, without penalties and\n"
              "temperature. None unless logprobs was given to generate.")
      .def_ro("top_logprobs", &WrittenPiece::top,
              "The likeliest tokens: [(id, logprob)], likeliest first.")
      .def("__str__", [](const WrittenPiece& self) { return self.text; })
      .def("__repr__", [](const WrittenPiece& self) {
        return fmt::format("<linnet.Piece token={} text={}>", self.token,
                           nb::repr(nb::cast(self.text)).c_str());
      });
}

}  // namespace

void AddGeneration(nb::module_& m) {
  AddPiece(m);
  nb::class_<GenerationObject>(
      m, "Generation",
      "A text being generated: an iterator of Pieces. One call at a time may use or read it.\n"
      "Ctrl-C raises KeyboardInterrupt between two tokens; afterwards the iterator can go on.")
      .def("__iter__", [](nb::object self) { return self; })
      .def("__next__", NextOrStop)
      .def("next", NextPiece, "The next piece, or None at the end.")
      .def("finish", Finish, "Generates the rest and returns the whole text.")
      .def(
          "stop",
          [](GenerationObject& self) {
            const Busy::Use use(self.busy, "the text");
            self.writing.Interrupt();
          },
          "Ends the text here.")
      .def_prop_ro("text",
                   Read([](const auto& self) { return Shown(self, self.writing.written().text); }),
                   "The text so far, without the prompt.")
      .def_prop_ro("tokens", Read([](const auto& self) { return self.writing.written().tokens; }),
                   "The number of tokens so far.")
      .def_prop_ro("prompt_tokens",
                   Read([](const auto& self) { return self.writing.written().prompt_tokens; }),
                   "The number of tokens of the prompt, once it was read.")
      .def_prop_ro("finish_reason", Read([](const auto& self) -> std::optional<std::string> {
                     const linnet::Finish finish = self.writing.written().finish;
                     if (finish == linnet::Finish::kNone) return std::nullopt;
                     return Name(finish);
                   }),
                   "\"stop\", \"length\" or \"interrupted\"; None while it goes on.")
      .def_prop_ro("timings", Read(Timings),
                   "{\"prompt_s\", \"decode_s\", \"tokens_per_s\"}, in seconds.")
      .def_prop_ro("state", StateAfter,
                   "A new State at the end of the text so far, with its logits.");
}

void AddGenerate(nb::class_<ModelObject>& model) {
  model.def(
      "generate", Generate, nb::arg("prompt"), nb::kw_only(), nb::arg("max_tokens") = 256,
      nb::arg("stop") = std::vector<std::string>(), nb::arg("stop_ids") = nb::none(),
      nb::arg("state") = nb::none(), nb::arg("sampler") = nb::none(),
      nb::arg("logprobs") = nb::none(), nb::arg("grammar") = nb::none(),
      nb::arg("json_schema") = nb::none(), nb::arg("regex") = nb::none(), nb::arg("settings"),
      "Continues a text. Nothing runs until the iterator that this returns is used.\n\n"
      "prompt: str, or ids. An empty prompt goes on from a state that a text left, or starts\n"
      "from token 0. stop: end before any of these strings. stop_ids: ids that end the text;\n"
      "by default 0. state: where to start; it is not changed. sampler: a Sampler, of which\n"
      "a copy is used; or settings of sampling by their names (see Sampler), with the\n"
      "defaults of `linnet generate`. logprobs: also the probabilities of the tokens, and of\n"
      "so many of the likeliest.\n\n"
      "grammar: a Grammar, or GBNF; json_schema: a dict, or JSON; regex: a regular expression.\n"
      "With one of them the text matches it if finish_reason is \"stop\", and stop strings end it\n"
      "only where it is complete.\n\n"
      "Raises InputError.");
  model.def("reply", Reply, nb::arg("messages"), nb::kw_only(), nb::arg("template") = "auto",
            nb::arg("think") = "auto", nb::arg("max_tokens") = 1024,
            nb::arg("stop") = std::vector<std::string>(), nb::arg("logprobs") = nb::none(),
            nb::arg("grammar") = nb::none(), nb::arg("json_schema") = nb::none(),
            nb::arg("regex") = nb::none(), nb::arg("settings"),
            "Begins the reply to messages [{\"role\", \"content\"}] of the roles system, user and\n"
            "assistant, the last of the user. template, think, settings, grammar, json_schema and\n"
            "regex as in chat.\n\n"
            "Raises InputError.");
}

}  // namespace linnet::python
