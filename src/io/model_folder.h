// Finds the model in a folder of released files or of a training run.
#ifndef LINNET_IO_MODEL_FOLDER_H_
#define LINNET_IO_MODEL_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <vector>

namespace linnet {

// The steps at which a run saved checkpoints, ascending.
std::vector<uint64_t> CheckpointSteps(const std::filesystem::path& run);
std::filesystem::path CheckpointPath(const std::filesystem::path& run, uint64_t step);

// Metadata keys of files that a run writes: the number of steps done, and whether the file has only
// the trained parameters of the model because the rest is frozen.
inline constexpr char kStepsKey[] = "steps";
inline constexpr char kPartKey[] = "part";

// The model file, or shard index, in a folder. In a run: its final model, or the newest complete
// checkpoint if there is no model or the checkpoint is newer. In other folders: a file with one of
// the usual names, or the only checkpoint. Throws Error kIo that says what the folder contains
// instead.
std::filesystem::path ModelIn(const std::filesystem::path& folder);

}  // namespace linnet

#endif  // LINNET_IO_MODEL_FOLDER_H_
