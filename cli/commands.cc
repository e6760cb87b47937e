#include "cli/command.h"

namespace linnet::cli {

std::span<const AddsCommand> AllCommands() {
  static constexpr AddsCommand kCommands[] = {
      AddChat,    AddGenerate, AddServe,  AddTokenize, AddLogits,      AddGrad,    AddPerplexity,
      AddEval,    AddEmbed,    AddSearch, AddBench,    AddInit,        AddConvert, AddQuantize,
      AddInspect, AddState,    AddTrain,  AddPlot,     AddMerge,       AddVocab,   AddData,
      AddPull,    AddModels,   AddDoctor, AddManual,   AddCompletions, AddLicences};
  return kCommands;
}

}  // namespace linnet::cli
