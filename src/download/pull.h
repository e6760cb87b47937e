// PullModel: fetches a model from a hub into the folder of pulled models, or another.
#ifndef LINNET_DOWNLOAD_PULL_H_
#define LINNET_DOWNLOAD_PULL_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "download/hub.h"
#include "download/pulled_models.h"

namespace linnet {

// What a pull is doing.
struct PullProgress {
  enum class Doing : uint8_t { kListing, kFetching };
  Doing doing = Doing::kListing;
  std::string file;  // being fetched; its number, of how many
  size_t number = 0, files = 0;
  std::string sha256;  // of the file, in hex; empty if the hub does not say
  // Bytes that are there, of all files and of this one. A total is 0 as long as nobody has told it.
  uint64_t done = 0, total = 0, file_done = 0, file_total = 0;
};

struct PullOptions {
  Hub hub;               // a host in the model's name says which hub it is
  std::string revision;  // branch, tag or commit; empty: the hub's default
  // Where models are kept: FOLDER/OWNER/REPO/FILE.
  std::filesystem::path folder;
  // Instead: the files go there, and no record is kept.
  std::filesystem::path plain_folder;
  int tries = 5;
  long patience = 60;  // seconds without a byte
  // A few times a second. What it throws ends the pull; the next one resumes it. May be empty.
  std::function<void(const PullProgress&)> progress;
  std::function<void(int)> pause;  // FileDownloadOptions::pause
};

// Fetches OWNER/REPO/FILE, or OWNER/REPO: its only checkpoint, or if it has the usual names of a
// released model (model.safetensors, shards with their index), all that such a folder needs. FILE
// may lack its ending. Files that are there are checked and not fetched again. Throws Error kIo,
// kBadInput for a wrong name and for a repository with several checkpoints, which are listed. Any
// thread; two pulls of one file exclude each other.
PulledModel PullModel(const std::string& name, const PullOptions& options);

}  // namespace linnet

#endif  // LINNET_DOWNLOAD_PULL_H_
