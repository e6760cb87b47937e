// The context length that a model was trained with.
#ifndef LINNET_CLI_TRAINED_LENGTH_H_
#define LINNET_CLI_TRAINED_LENGTH_H_

#include <cstddef>
#include <filesystem>

namespace linnet::cli {

// In tokens; 0 if unknown. Checkpoints do not contain it. Released models have it in their names
// (…-ctx4096.pth), runs of `linnet train` in their run.json.
size_t TrainedLength(const std::filesystem::path& model);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAINED_LENGTH_H_
