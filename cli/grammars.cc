#include "cli/grammars.h"

#include "cli/texts.h"
#include "text/utf8.h"

namespace linnet::cli {

void AddGrammarOptions(CLI::App& command, GrammarFlags& flags) {
  auto* const grammar =
      command.add_option("--grammar", flags.grammar, "The text must match this GBNF grammar")
          ->type_name("FILE");
  auto* const schema = command
                           .add_option("--json-schema", flags.json_schema,
                                       "The text must be JSON that this schema describes")
                           ->type_name("FILE");
  auto* const regex =
      command.add_option("--regex", flags.regex, "The text must match this regular expression")
          ->type_name("R");
  grammar->excludes(schema)->excludes(regex);
  schema->excludes(regex);
}

std::shared_ptr<const Grammar> GrammarOf(const GrammarFlags& flags) {
  const auto text = [](const std::string& path) {
    return std::string(WithoutByteOrderMark(ReadText(path)));
  };
  if (!flags.grammar.empty()) return Grammar::FromGbnf(text(flags.grammar), flags.grammar);
  if (!flags.json_schema.empty()) {
    return Grammar::FromJsonSchema(text(flags.json_schema), flags.json_schema);
  }
  return flags.regex.empty() ? nullptr : Grammar::FromRegex(flags.regex);
}

}  // namespace linnet::cli
