#include "grammar/grammar.h"

#include <utility>

#include "grammar/automaton.h"
#include "grammar/json_schema.h"
#include "grammar/json_text.h"
#include "grammar/position_table.h"
#include "grammar/regex.h"
#include "grammar/rules.h"
#include "grammar/syntaxes.h"
#include "linnet/error.h"

namespace linnet {
namespace {

const std::string kRegexName = "regex", kBnfName = "bnf";

// Puts the name before messages that have no place.
template <class Work>
auto Named(const std::string& name, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    const std::string_view what = error.what();
    if (what.starts_with(name)) throw;
    throw Error(error.kind(), name + ": " + std::string(what));
  }
}

}  // namespace

Grammar::Grammar(Automaton automaton)
    : automaton_(std::make_unique<const Automaton>(std::move(automaton))),
      memory_(std::make_unique<GrammarMemory>()) {}

Grammar::~Grammar() = default;

std::shared_ptr<const Grammar> Grammar::AfterBlank() const {
  return std::shared_ptr<const Grammar>(new Grammar(automaton_->AfterBlank()));
}

std::shared_ptr<const Grammar> Grammar::FromGbnf(std::string_view text, const std::string& name) {
  return Named(name, [&] {
    Rules rules;
    const uint32_t root = ReadGbnf(text, name, rules);
    return std::shared_ptr<const Grammar>(new Grammar(Automaton(rules, root)));
  });
}

std::shared_ptr<const Grammar> Grammar::FromJsonSchema(std::string_view schema,
                                                       const std::string& name) {
  return Named(name, [&] {
    Rules rules;
    const uint32_t root = ReadJsonSchema(schema, name, rules);
    return std::shared_ptr<const Grammar>(new Grammar(Automaton(rules, root)));
  });
}

std::shared_ptr<const Grammar> Grammar::AnyJson() {
  Rules rules;
  JsonText json(rules);
  const uint32_t root = rules.NewRule();
  rules.SetRule(root, json.AnyObject());
  return std::shared_ptr<const Grammar>(new Grammar(Automaton(rules, root)));
}

std::shared_ptr<const Grammar> Grammar::FromRegex(std::string_view regex) {
  return Named(kRegexName, [&] {
    Rules rules;
    const uint32_t root = rules.NewRule();
    rules.SetRule(root, AddRegex(regex, kRegexName, RegexPlace::kWhole, Spelling::kPlain, rules));
    return std::shared_ptr<const Grammar>(new Grammar(Automaton(rules, root)));
  });
}

std::shared_ptr<const Grammar> Grammar::FromRules(const Rules& rules, uint32_t root) {
  return std::shared_ptr<const Grammar>(new Grammar(Automaton(rules, root)));
}

std::shared_ptr<const Grammar> Grammar::FromAi00Bnf(std::string_view text, std::string_view start) {
  return Named(kBnfName, [&] {
    Rules rules;
    const uint32_t root = ReadAi00Bnf(text, kBnfName, start, rules);
    Automaton automaton(rules, root);
    automaton.ends_early = true;
    return std::shared_ptr<const Grammar>(new Grammar(std::move(automaton)));
  });
}

}  // namespace linnet
