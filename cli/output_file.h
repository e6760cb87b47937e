// What a command may write: never a file that it reads, and a file of another kind only with
// --overwrite. Every command that writes asks here, before any work is done.
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
  // An option that names a file to go on from, which may be rewritten: generate's --state.
  const char* rewrites = nullptr;
  // What to give to replace a file of another kind, for messages.
  const char* overwrite = "--overwrite";
};

// Adds an option, or argument, that names what is written, and --overwrite. What any other option
// of the command names is taken for an input.
CLI::Option* AddOutput(CLI::App& command, CommonOptions& common, const std::string& name,
                       std::string& value, const std::string& help);

// Records a file that is read and that no option names as it is, such as /load's.
void AddInput(CommonOptions& common, const std::filesystem::path& path);

// Throws Error kBadInput
// - if the file is one that the command reads, whatever its name: the same inode as an input, one
//   of its shards, a file that is read beside it, or stdin;
// - if it exists, is not empty and not of this kind, and --overwrite is not given.
// Pipes and devices may always be written.
void CheckReplaces(const CommonOptions& common, const OutputFile& file);

// As CheckReplaces; also throws Error kIo if the file could not be written. Leaves no trace.
void CheckOutput(const CommonOptions& common, const OutputFile& file);

}  // namespace linnet::cli

#endif  // LINNET_CLI_OUTPUT_FILE_H_
