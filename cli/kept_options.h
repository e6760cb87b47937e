// KeptOptions: run.json, the options that --resume reuses.
#ifndef LINNET_CLI_KEPT_OPTIONS_H_
#define LINNET_CLI_KEPT_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace linnet::cli {

// Identifies the inputs of a run by content: files may move but not change.
struct RunSources {
  std::string base, data;  // hashes; empty if unknown
};

// Immutable.
class KeptOptions {
 public:
  // Reads those of a run's folder. Throws Error kBadInput if they are missing or damaged.
  static KeptOptions Read(const std::filesystem::path& run);
  // Those of `command`, given or recalled. File names become absolute, so that the run can be
  // resumed from another folder.
  static KeptOptions Of(const CLI::App& command, const RunSources& sources);

  // Sets the options that the call of `command` does not give to the values stored here. Throws
  // Error kBadInput for given options that would make it a different run, such as --width, and for
  // stored options that the command does not have.
  void Recall(CLI::App& command) const;
  // The stored number of an option, or that of `command` if it is not stored.
  uint64_t Number(const CLI::App& command, const std::string& option) const;
  // Throws Error kBadInput if the files of `command` are not those that the run began with.
  void CheckSources(const CLI::App& command, const RunSources& now) const;
  // Writes run.json, atomically.
  void Write(const std::filesystem::path& run) const;
  // Removes run.json; without it a run cannot be resumed.
  static void Remove(const std::filesystem::path& run);

 private:
  void RefuseAnother(const CLI::Option& option) const;

  std::filesystem::path path_;  // where they were read from
  std::map<std::string, std::vector<std::string>> options_;
  RunSources sources_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_KEPT_OPTIONS_H_
