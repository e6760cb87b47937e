// PulledModels: what was pulled, and its short names.
#ifndef LINNET_DOWNLOAD_PULLED_MODELS_H_
#define LINNET_DOWNLOAD_PULLED_MODELS_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

struct PulledFile {
  std::string path;  // in the repository
  uint64_t bytes = 0;
  std::string sha256;    // hex
  bool checked = false;  // against the hub's own digest
};

// A file, or a folder with all that belongs to a model. The record of it lies beside it, hidden.
struct PulledModel {
  std::string name;                      // short: the file's stem, or the repository of a folder
  std::string full_name;                 // OWNER/REPO or OWNER/REPO/FILE
  std::vector<std::string> other_names;  // that it was given
  std::filesystem::path path;            // MODEL for all commands
  std::filesystem::path record;
  std::string hub, endpoint, revision;
  int64_t time = 0;  // of the pull, seconds since 1970
  std::vector<PulledFile> files;

  uint64_t bytes() const;
  // FindPulled's names of it that follow from where it comes from, without `name`. `alone`: no
  // other model of its repository is there.
  std::vector<std::string> Spellings(bool alone) const;
};

// $XDG_DATA_HOME/linnet/models, or ~/.local/share/linnet/models; empty if there is no home folder.
std::filesystem::path PulledModelsFolder();

// All that is recorded below `folder` and still there, by name. Records that are damaged or name
// files elsewhere are skipped. Does not throw.
std::vector<PulledModel> PulledModels(const std::filesystem::path& folder);

// The model with this name, short, full, with or without the file's ending, or one that it was
// given; or the only one of the repository OWNER/REPO. nullopt if there is none. Throws Error
// kBadInput if a name means several.
std::optional<PulledModel> FindPulled(const std::filesystem::path& folder, std::string_view name);

// Writes the record. Throws Error kIo.
void WriteRecord(const PulledModel& model);

// Removes its files, the record, and folders that become empty, up to `folder`. Throws Error kIo.
void RemovePulled(const std::filesystem::path& folder, const PulledModel& model);

}  // namespace linnet

#endif  // LINNET_DOWNLOAD_PULLED_MODELS_H_
