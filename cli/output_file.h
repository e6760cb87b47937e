// Checks of output files: a command never overwrites a file that it reads, and overwrites a file of
// another kind only with --overwrite. Every command that writes calls these before it does any
// work.
#ifndef LINNET_CLI_OUTPUT_FILE_H_
#define LINNET_CLI_OUTPUT_FILE_H_

#include <filesystem>
#include <string>

#include "cli/cli.h"
#include "cli/output_kind.h"

namespace linnet::cli {

// A file that a command is about to write.
struct OutputFile {
  std::filesystem::path path;
  OutputKind kind;
  // An option whose input file may be overwritten by this output: generate's --state.
  const char* rewrites = nullptr;
  // How to replace a file of another kind, for messages.
  const char* overwrite = "--overwrite";
};

// Adds an option or argument for an output file, and --overwrite. Files named by any other option
// of the command count as inputs.
CLI::Option* AddOutput(CLI::App& command, CommonOptions& common, const std::string& name,
                       std::string& value, const std::string& help);

// --overwrite alone, for a command whose output is one of several names.
void AddOverwrite(CLI::App& command, CommonOptions& common);

// Records an input file that no option names, such as /load's.
void AddInput(CommonOptions& common, const std::filesystem::path& path);

// Throws Error kBadInput
// - if the command reads the file, under any name: it has the inode of an input, of one of its
//   shards, of a file that is read with it, or of stdin;
// - if it exists, is neither empty nor of this kind, and --overwrite is not given.
// Pipes and devices may always be written.
void CheckReplaces(const CommonOptions& common, const OutputFile& file);

// As CheckReplaces, but also throws Error kIo if the file cannot be written. Leaves no file.
void CheckOutput(const CommonOptions& common, const OutputFile& file);

}  // namespace linnet::cli

#endif  // LINNET_CLI_OUTPUT_FILE_H_
