// The folder of a run: its checkpoints, and that one program at a time works in it.
#ifndef LINNET_TRAIN_RUN_FOLDER_H_
#define LINNET_TRAIN_RUN_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/learner.h"
#include "train/training_file.h"
#include "train/world.h"

namespace linnet {

// The steps of a run's checkpoints, ascending.
std::vector<uint64_t> CheckpointSteps(const std::filesystem::path& run);
std::filesystem::path CheckpointPath(const std::filesystem::path& run, uint64_t step);

// Loads the newest checkpoint that is whole, if the run has any, and returns its notes. Newer ones
// that are damaged are set aside under another name; `say` is told so, a line each. All processes
// call it, and load what process 0 found. Throws Error kBadInput if none is whole, and what
// LoadTraining throws.
std::optional<Notes> LoadNewest(Learner& learner, World& world, const std::filesystem::path& run,
                                const std::function<void(const std::string&)>& say);

// Removes what a run that was killed was writing.
void RemoveUnfinished(const std::filesystem::path& run);

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
