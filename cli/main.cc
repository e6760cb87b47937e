// linnet: the command line. Subcommands live in files of their own; here errors become exit codes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

// A file name may hold a line break; an error is one line all the same.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) line += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return line;
}

int Fail(std::string_view message) {
  Say(fmt::format("linnet: {}\n", OneLine(message)));
  return kFailed;
}

// How many letters must be put in, left out or changed.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t before = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = before + (a[i] == b[j] ? 0 : 1);
      before = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// The parser only misses a command where there is a word that is none.
void CheckCommand(const CLI::App& app, std::span<char* const> words) {
  if (words.empty() || words[0][0] == '-') return;
  const std::string_view word = words[0];
  const CLI::App* nearest = nullptr;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string& name = command->get_name();
    if (name == word) {
      if (command->get_require_subcommand_min() > 0) CheckCommand(*command, words.subspan(1));
      return;
    }
    if (nearest == nullptr || Distance(word, name) < Distance(word, nearest->get_name())) {
      nearest = command;
    }
  }
  std::string hint;
  if (nearest != nullptr && 2 * Distance(word, nearest->get_name()) <= word.size()) {
    hint = fmt::format("; did you mean {}?", nearest->get_name());
  }
  throw CLI::ArgumentMismatch(fmt::format("'{}' is no command{}", OneLine(word), hint));
}

// A minus sign before a count would make it a very large one, and no number here may be infinite,
// also as a float, or none.
void RefuseOddNumbers(CLI::App& app) {
  const CLI::Validator positive(
      [](const std::string& word) {
        return word[0] == '-' ? fmt::format("'{}' is negative, expected 0 or more", word)
                              : std::string();
      },
      "");
  const CLI::Validator finite(
      [](const std::string& word) {
        return std::isfinite(std::strtof(word.c_str(), nullptr))
                   ? std::string()
                   : fmt::format("'{}' is not finite, expected a number", word);
      },
      "");
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (type.rfind("UINT", 0) == 0 || type == "N") option->check(positive);
    if (type.rfind("FLOAT", 0) == 0) option->check(finite);
  }
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    RefuseOddNumbers(*command);
  }
}

int Main(int argc, char** argv) {
  OpenStreams();
  HandleInterrupts();
  CLI::App app(
      "Runs, trains and measures RWKV language models of every generation, straight from their "
      "checkpoints.",
      "linnet");
  app.set_version_flag("--version", "linnet " LINNET_VERSION);
  app.require_subcommand(1);
  app.footer("`linnet COMMAND --help` shows its options and an example.");
  AddChat(app);
  AddGenerate(app);
  AddTokenize(app);
  AddLogits(app);
  AddGrad(app);
  AddPerplexity(app);
  AddBench(app);
  AddInit(app);
  AddConvert(app);
  AddQuantize(app);
  AddInspect(app);
  AddState(app);
  AddTrain(app);
  AddPlot(app);
  AddMerge(app);
  AddVocab(app);
  AddData(app);
  RefuseOddNumbers(app);
  try {
    CheckCommand(app, std::span(argv, static_cast<size_t>(argc)).subspan(argc > 0 ? 1 : 0));
    app.parse(argc, argv);
    FlushOutput();
    return kDone;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUsage;
  } catch (const Interruption&) {
    return kInterrupted;
  } catch (const std::bad_alloc&) {
    Say("linnet: out of memory\n");
    return kFailed;
  } catch (const Error& error) {
    return Fail(MessageOf(error));
  } catch (const std::exception& error) {
    return Fail(error.what());
  }
}

}  // namespace
}  // namespace linnet::cli

int main(int argc, char** argv) { return linnet::cli::Main(argc, argv); }
