// The length of the texts that a model was trained on.
#ifndef LINNET_CLI_TRAINED_LENGTH_H_
#define LINNET_CLI_TRAINED_LENGTH_H_

#include <cstddef>
#include <filesystem>

namespace linnet::cli {

// Tokens; 0 if it is not known. No checkpoint says it: released models have it in their names
// (…-ctx4096.pth), runs of `linnet train` in the run.json beside them.
size_t TrainedLength(const std::filesystem::path& model);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAINED_LENGTH_H_
