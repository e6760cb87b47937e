// linnet: the command line. Subcommands live in files of their own; here errors become exit codes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>

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
  fmt::print(stderr, "linnet: {}\n", OneLine(message));
  return kFailed;
}

int Main(int argc, char** argv) {
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
  try {
    app.parse(argc, argv);
    FlushOutput();
    return kDone;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUsage;
  } catch (const Interruption&) {
    return kInterrupted;
  } catch (const std::bad_alloc&) {
    return Fail("out of memory");
  } catch (const std::exception& error) {
    return Fail(error.what());
  }
}

}  // namespace
}  // namespace linnet::cli

int main(int argc, char** argv) { return linnet::cli::Main(argc, argv); }
