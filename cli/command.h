// The program as a function: what main() and the Python extension call.
#ifndef LINNET_CLI_COMMAND_H_
#define LINNET_CLI_COMMAND_H_

#include <span>

namespace CLI {
class App;
}

namespace linnet::cli {

// Each is defined in the file of its name; commands.cc lists them in the order of --help.
void AddChat(CLI::App& app);
void AddGenerate(CLI::App& app);
void AddServe(CLI::App& app);
void AddTokenize(CLI::App& app);
void AddLogits(CLI::App& app);
void AddGrad(CLI::App& app);
void AddPerplexity(CLI::App& app);
void AddEval(CLI::App& app);
void AddEmbed(CLI::App& app);
void AddSearch(CLI::App& app);
void AddBench(CLI::App& app);
void AddInit(CLI::App& app);
void AddConvert(CLI::App& app);
void AddQuantize(CLI::App& app);
void AddInspect(CLI::App& app);
void AddState(CLI::App& app);
void AddTrain(CLI::App& app);
void AddPlot(CLI::App& app);
void AddMerge(CLI::App& app);
void AddVocab(CLI::App& app);
void AddData(CLI::App& app);
void AddPull(CLI::App& app);
void AddModels(CLI::App& app);
void AddDoctor(CLI::App& app);
void AddManual(CLI::App& app);
void AddCompletions(CLI::App& app);
void AddLicences(CLI::App& app);

// Adds one subcommand, as these do.
using AddsCommand = void (*)(CLI::App& app);

// Every subcommand of `linnet`, in the order of --help.
std::span<const AddsCommand> AllCommands();

// Runs `linnet` with these arguments, the first of which is the program's name, and returns its
// exit code. Changes the process's signal handlers.
int RunCommand(int argc, char** argv, std::span<const AddsCommand> commands);

}  // namespace linnet::cli

#endif  // LINNET_CLI_COMMAND_H_
