// Grammar: what a constrained text may be; from GBNF, a JSON schema, a regex or Ai00's BNF.
#ifndef LINNET_GRAMMAR_GRAMMAR_H_
#define LINNET_GRAMMAR_GRAMMAR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace linnet {

class GrammarMemory;
class Automaton;
class Rules;

// A compiled grammar. The syntaxes, what is refused and what is guaranteed: docs/grammars.md.
// Immutable but for a memory of what constraints computed, which has a lock: shared by threads.
//
// The factories throw Error kBadInput. The message starts with `name` and the place (line:column,
// or the path in the schema). Size and nesting are bounded: a grammar that needs too many states is
// refused. So is one that no text matches.
class Grammar {
 public:
  // llama.cpp's GBNF; the text is what the rule `root` matches.
  static std::shared_ptr<const Grammar> FromGbnf(std::string_view text, const std::string& name);
  // JSON that validates against the schema. Keywords that cannot be held exactly are refused.
  static std::shared_ptr<const Grammar> FromJsonSchema(std::string_view schema,
                                                       const std::string& name);
  // Any JSON object.
  static std::shared_ptr<const Grammar> AnyJson();
  // A text that the whole regex matches.
  static std::shared_ptr<const Grammar> FromRegex(std::string_view regex);
  // Ai00's BNF (kbnf); the text is what the rule `start` matches.
  static std::shared_ptr<const Grammar> FromAi00Bnf(std::string_view text,
                                                    std::string_view start = "start");

  // What the rule `root` matches: for grammars that are put together from several syntaxes.
  static std::shared_ptr<const Grammar> FromRules(const Rules& rules, uint32_t root);
  // The same texts, and those with a blank before them, as replies in a chat begin.
  std::shared_ptr<const Grammar> AfterBlank() const;

  ~Grammar();
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

  // For Constraint.
  const Automaton& automaton() const { return *automaton_; }
  GrammarMemory& memory() const { return *memory_; }

 private:
  explicit Grammar(Automaton automaton);

  std::unique_ptr<const Automaton> automaton_;
  std::unique_ptr<GrammarMemory> memory_;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_GRAMMAR_H_
