// Options of generate, chat and serve for guesses of the tokens to come (engine/speculation.h).
#ifndef LINNET_CLI_SPECULATION_H_
#define LINNET_CLI_SPECULATION_H_

#include <CLI/CLI.hpp>
#include <string>

#include "cli/cli.h"
#include "engine/speculation.h"
#include "linnet/model.h"

namespace linnet::cli {

struct SpeculationFlags {
  std::string guesses = "auto", draft;
};

// Adds --speculate and --draft. `flags` must outlive the command's run.
void AddSpeculationOptions(CLI::App& command, SpeculationFlags& flags);

// Opens the draft model, if there is one. Throws what OpenModel throws, and Error kBadInput if its
// vocabulary is not that of `model`.
SpeculationOptions SpeculationFor(const CommonOptions& common, const SpeculationFlags& flags,
                                  const Model& model);

}  // namespace linnet::cli

#endif  // LINNET_CLI_SPECULATION_H_
