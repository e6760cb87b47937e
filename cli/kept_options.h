// KeptOptions: run.json, the options with which a run goes on.
#ifndef LINNET_CLI_KEPT_OPTIONS_H_
#define LINNET_CLI_KEPT_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace linnet::cli {

// What a run learns from, by content: files may move, but not become others.
struct RunSources {
  std::string base, data;  // hashes; empty if a file does not say them
};

// Immutable.
class KeptOptions {
 public:
  // Those of a run's folder. Throws Error kBadInput if it holds none, or they are damaged.
  static KeptOptions Read(const std::filesystem::path& run);
  // Those of `command`, as it was called and recalled; names of files become absolute, so that the
  // run may go on from another folder.
  static KeptOptions Of(const CLI::App& command, const RunSources& sources);

  // Gives options that the call of `command` does not name the values they have here. Throws Error
  // kBadInput for those that it does name and that make it another run, such as --width, and for
  // what the command does not take.
  void Recall(CLI::App& command) const;
  // The number an option has here, or in `command` if it is not named here.
  uint64_t Number(const CLI::App& command, const std::string& option) const;
  // Throws Error kBadInput if the files that `command` names are not those that the run began with.
  void CheckSources(const CLI::App& command, const RunSources& now) const;
  // Writes run.json, whole or not at all.
  void Write(const std::filesystem::path& run) const;
  // A run without it cannot be resumed.
  static void Remove(const std::filesystem::path& run);

 private:
  void RefuseAnother(const CLI::Option& option) const;

  std::filesystem::path path_;  // where they were read
  std::map<std::string, std::vector<std::string>> options_;
  RunSources sources_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_KEPT_OPTIONS_H_
