// The folder of a run: its checkpoints, and the lock that allows one program at a time.
#ifndef LINNET_TRAIN_RUN_FOLDER_H_
#define LINNET_TRAIN_RUN_FOLDER_H_

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/model_folder.h"
#include "train/learner.h"
#include "train/training_file.h"
#include "train/world.h"

namespace linnet {

// Loads the newest complete checkpoint, if the run has any, and returns its notes. Newer damaged
// checkpoints are renamed, and reported with `say`, one line each. All processes call it and load
// the one that process 0 found. Throws Error kBadInput if there are only damaged ones, and what
// LoadTraining throws.
std::optional<Notes> LoadNewest(Learner& learner, World& world, const std::filesystem::path& run,
                                const std::function<void(const std::string&)>& say);

// Removes the temporary files of a run that was killed.
void RemoveUnfinished(const std::filesystem::path& run);

// The folder of a new run. A failed start leaves nothing: unless Succeeded was called, the
// destructor removes the folders and files that were passed to Make and Made.
class RunStart {
 public:
  explicit RunStart(std::filesystem::path run) : run_(std::move(run)) {}
  ~RunStart();
  RunStart(const RunStart&) = delete;
  RunStart& operator=(const RunStart&) = delete;

  // Creates the folder and its missing parents. Throws Error kIo.
  void Make();
  // Registers a file that this start has written.
  void Made(std::filesystem::path file) { files_.push_back(std::move(file)); }
  void Succeeded() { succeeded_ = true; }

 private:
  std::filesystem::path run_;
  std::vector<std::filesystem::path> folders_, files_;  // the innermost folder last
  bool succeeded_ = false;
};

// A lock on the folder, which must exist. It is released when the program ends, even if it
// crashes.
class RunLock {
 public:
  // Throws Error kBadInput if another program holds it. Does nothing on file systems without locks.
  explicit RunLock(const std::filesystem::path& run);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_RUN_FOLDER_H_
