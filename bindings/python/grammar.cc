// linnet.Grammar: what a text must match.
#include "grammar/grammar.h"

#include <nanobind/stl/string.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "bindings/python/bindings.h"
#include "grammar/constraint.h"
#include "grammar/token_trie.h"

namespace linnet::python {
namespace {

using Shared = std::shared_ptr<const Grammar>;

GrammarObject* Compile(std::function<Shared()> make) {
  auto object = std::make_unique<GrammarObject>();
  object->make = std::move(make);
  object->Get();
  return object.release();
}

GrammarObject* FromGbnf(const std::string& text, const std::string& name) {
  return Compile([=] { return Grammar::FromGbnf(text, name); });
}

GrammarObject* FromAi00Bnf(const std::string& text, const std::string& start) {
  return Compile([=] { return Grammar::FromAi00Bnf(text, start); });
}

GrammarObject* FromRegex(const std::string& regex) {
  return Compile([=] { return Grammar::FromRegex(regex); });
}

GrammarObject* AnyJson() {
  return Compile([] { return Grammar::AnyJson(); });
}

// A schema as text or as what json.dumps takes.
GrammarObject* FromSchema(nb::handle schema) {
  const std::string text = nb::cast<std::string>(
      PyUnicode_Check(schema.ptr()) ? nb::borrow(schema)
                                    : nb::module_::import_("json").attr("dumps")(schema));
  return Compile([=] { return Grammar::FromJsonSchema(text, "json_schema"); });
}

}  // namespace

const Shared& GrammarObject::Get() {
  if (grammar != nullptr && forks == Forks()) return grammar;
  Shared made;
  {
    const nb::gil_scoped_release released;
    made = make();
  }
  // What the parent's threads had locked stays so: its grammar is neither used nor freed.
  if (grammar != nullptr && forks != Forks()) new Shared(std::move(grammar));
  grammar = std::move(made);
  forks = Forks();
  return grammar;
}

std::shared_ptr<const Grammar> GrammarOf(nb::handle grammar, nb::handle json_schema,
                                         nb::handle regex) {
  const int given = !grammar.is_none() + !json_schema.is_none() + !regex.is_none();
  if (given == 0) return nullptr;
  if (given > 1) {
    throw Error(ErrorKind::kBadInput, "give one of grammar, json_schema and regex");
  }
  if (nb::isinstance<GrammarObject>(grammar)) return nb::cast<GrammarObject&>(grammar).Get();
  std::unique_ptr<GrammarObject> made;
  if (!json_schema.is_none()) {
    made.reset(FromSchema(json_schema));
  } else {
    const bool is_regex = !regex.is_none();
    const nb::handle text = is_regex ? regex : grammar;
    if (!PyUnicode_Check(text.ptr())) {
      throw Error(
          ErrorKind::kBadInput,
          std::string(is_regex ? "regex" : "grammar") + " is of type " +
              nb::inst_name(text).c_str() +
              (is_regex ? ", expected str" : ", expected a linnet.Grammar, or GBNF as str"));
    }
    auto value = nb::cast<std::string>(text);
    made.reset(is_regex ? FromRegex(value) : FromGbnf(value, "grammar"));
  }
  return made->Get();
}

std::optional<Constraint> ConstraintOf(OpenedModel& opened,
                                       std::shared_ptr<const Grammar> grammar) {
  if (grammar == nullptr) return std::nullopt;
  const auto tokenizer = opened.NeedTokenizer();
  opened.workers.Run([&](Workspace&) {
    if (opened.trie != nullptr) return;
    opened.trie = std::make_shared<const TokenTrie>(*tokenizer, opened.model.config().vocab);
  });
  return Constraint(std::move(grammar), opened.trie);
}

void AddGrammar(nb::module_& m) {
  nb::class_<GrammarObject>(
      m, "Grammar",
      "A compiled grammar, for generate, reply and chat. It keeps what it computed about the\n"
      "tokens of a model, so that the next text under it is faster. Threads may share it.\n\n"
      "What is supported, and what a text is then guaranteed to be: docs/grammars.md. Each\n"
      "raises InputError with the place of what is not.")
      .def_static("gbnf", FromGbnf, nb::arg("text"), nb::arg("name") = "grammar",
                  "From llama.cpp's GBNF; the text is what the rule `root` matches. name: for\n"
                  "messages.")
      .def_static("json_schema", FromSchema, nb::arg("schema"),
                  "JSON that validates against the schema: a dict, a bool, or JSON as str.")
      .def_static("json", AnyJson, "Any JSON object.")
      .def_static("regex", FromRegex, nb::arg("regex"),
                  "What a regular expression matches as a whole.")
      .def_static("ai00_bnf", FromAi00Bnf, nb::arg("text"), nb::arg("start") = "start",
                  "From Ai00's BNF (kbnf); the text is what the rule `start` matches.");
}

}  // namespace linnet::python
