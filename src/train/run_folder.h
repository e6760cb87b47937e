// The folder of a run: its checkpoints, and that one program at a time works in it.
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

// Loads the newest checkpoint that is whole, if the run has any, and returns its notes. Newer ones
// that are damaged are set aside under another name; `say` is told so, a line each. All processes
// call it, and load what process 0 found. Throws Error kBadInput if none is whole, and what
// LoadTraining throws.
std::optional<Notes> LoadNewest(Learner& learner, World& world, const std::filesystem::path& run,
                                const std::function<void(const std::string&)>& say);

// Removes what a run that was killed was writing: the temporary files of a run's own names.
void RemoveUnfinished(const std::filesystem::path& run);

// The folder of a run that starts. A start that fails leaves nothing: what Make and Made were told
// of is removed again, unless Succeeded was called.
class RunStart {
 public:
  explicit RunStart(std::filesystem::path run) : run_(std::move(run)) {}
  ~RunStart();
  RunStart(const RunStart&) = delete;
  RunStart& operator=(const RunStart&) = delete;

  // Makes the folder, and those above it, unless they are there. Throws Error kIo.
  void Make();
  // A file that this start has written.
  void Made(std::filesystem::path file) { files_.push_back(std::move(file)); }
  void Succeeded() { succeeded_ = true; }

 private:
  std::filesystem::path run_;
  std::vector<std::filesystem::path> folders_, files_;  // the innermost folder last
  bool succeeded_ = false;
};

// Held while a program works in the folder, which must be there; goes with the program, however it
// ends.
class RunLock {
 public:
  // Throws Error kBadInput if another program holds it. Where there are no locks, nobody does.
  explicit RunLock(const std::filesystem::path& run);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_RUN_FOLDER_H_
