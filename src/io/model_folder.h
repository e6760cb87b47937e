// The model in a folder: of a released checkpoint, or of a training run.
#ifndef LINNET_IO_MODEL_FOLDER_H_
#define LINNET_IO_MODEL_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <vector>

namespace linnet {

// The steps of a run's checkpoints, ascending.
std::vector<uint64_t> CheckpointSteps(const std::filesystem::path& run);
std::filesystem::path CheckpointPath(const std::filesystem::path& run, uint64_t step);

// Metadata of what a run writes: the steps it had taken, and whether the file holds only a part of
// the model, because the rest does not learn.
inline constexpr char kStepsKey[] = "steps";
inline constexpr char kPartKey[] = "part";

// The file, or shard index, that the name of a folder stands for. Of a run it is its model, or the
// newest checkpoint that is whole if the run has none or went on after it. Of another folder the
// usual names, or the one checkpoint in it. Throws Error kIo that says what the folder holds
// instead.
std::filesystem::path ModelIn(const std::filesystem::path& folder);

}  // namespace linnet

#endif  // LINNET_IO_MODEL_FOLDER_H_
